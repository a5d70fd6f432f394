//! The node as the control crate's listeners show it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tollgate_control::bus::Bus;
use tollgate_control::configuration::Feed;

use tollgate_control::node::{
    BusStatus, CertificateState, CertificateStatus, ConfigurationStatus, DatabaseStatus, DegradedPlace, EntityCounts,
    Failure, Histogram, Labelled, ModuleCounts, ModuleState, ModuleView, NodeMetrics, NodeStatus, Phase, PluginState,
    PluginStatus, Reach, TargetOut, TargetState, UpstreamStatus, WorkerFault, WorkerState,
};
use tollgate_control::{NodeView, Timestamp};
use tollgate_limits::Local;
use tollgate_model::ConfigSet;
use tollgate_model::normal_form::PathRules;
use tollgate_model::units::TimeSpan;
use tollgate_plugin_host as plugin_host;
use tollgate_plugin_host::Host;
use tollgate_proxy::{Histogram as Durations, UpstreamReport, WorkerMetrics};

use crate::certificates::{CertificateReport, SOON};
use crate::config::{NO_CERTIFICATE, NodeConfig};
use crate::state::{self, NodeState};
use crate::supervisor;

pub struct View {
    name: String,
    source: String,
    workers: usize,
    listens_for_tls: bool,
    path_rules: PathRules,
    state: Arc<NodeState>,
    host: Arc<Host>,
    limiter: Arc<Local>,
    database: OnceLock<DatabaseView>,
}

/// What is shown of a node's database.
pub struct DatabaseView {
    pub feed: Feed,
    pub bus: Bus,
    pub max_stale: Option<Duration>,
}

impl View {
    pub fn new(config: &NodeConfig, state: Arc<NodeState>, host: Arc<Host>, limiter: Arc<Local>) -> View {
        let source = config.store.shown();
        let (name, listens_for_tls) = (config.name.clone(), config.tls.is_some());
        View {
            name,
            source,
            workers: config.workers,
            listens_for_tls,
            path_rules: config.proxy.path_rules,
            state,
            host,
            limiter,
            database: OnceLock::new(),
        }
    }

    /// Known only once it was opened: probes see a node that starts.
    pub fn has_database(&self, database: DatabaseView) {
        let _ = self.database.set(database);
    }
}

impl NodeView for View {
    fn configuration(&self) -> Arc<ConfigSet> {
        self.state.set()
    }

    fn status(&self) -> NodeStatus {
        let serving = self.state.serving();
        let mut places = [serving.degraded, serving.stale].concat();
        if self.listens_for_tls && serving.loaded_at.is_some() && serving.set.certificates.is_empty() {
            places.push(("proxy.tls".to_owned(), NO_CERTIFICATE.to_owned()));
        }
        NodeStatus {
            node: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.state.started_at.into(),
            uptime: self.state.started.elapsed(),
            phase: match self.state.phase() {
                state::Phase::Starting => Phase::Starting,
                state::Phase::Serving => Phase::Serving,
                state::Phase::Draining => Phase::Draining,
            },
            workers: self.workers,
            worker_faults: worker_faults(&self.state),
            configuration: ConfigurationStatus {
                source: self.source.clone(),
                digest: serving.digest,
                revision: serving.revision,
                loaded_at: serving.loaded_at.map(Timestamp),
                generation: serving.generation,
                last_error: serving.last_error.map(failure),
            },
            database: self.database.get().map(DatabaseView::status),
            counts: self.counts(&serving.set),
            degraded_places: degraded_places(places, &serving.certificates, serving.client_ca_problem),
            certificates: serving.certificates.into_iter().map(certificate).collect(),
            upstreams: serving.healths.iter().map(|health| upstream(health.report())).collect(),
            modules: ModuleCounts::of(&self.modules()),
        }
    }

    fn modules(&self) -> Vec<ModuleView> {
        self.host.modules().into_iter().map(module).collect()
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        let prepared = self.state.serving().prepared;
        let status =
            |(name, plugin): (&tollgate_model::Name, &Result<Arc<plugin_host::PluginUse>, plugin_host::Degraded>)| {
                let ready = plugin.as_ref().ok();
                PluginStatus {
                    name: name.to_string(),
                    state: if ready.is_some() { PluginState::Ready } else { PluginState::Degraded },
                    reason: plugin.as_ref().err().map(ToString::to_string),
                    generation: ready.map(|plugin| plugin.module().number()),
                    digest: ready.map(|plugin| plugin.module().digest()),
                }
            };
        prepared.plugins.iter().map(status).collect()
    }

    fn path_rules(&self) -> PathRules {
        self.path_rules
    }

    fn metrics(&self) -> NodeMetrics {
        let totals = WorkerMetrics::totals(&self.state.workers());
        let serving = self.state.serving();
        let upstream = ["connect_failed", "connect_timeout", "upstream_tls", "upstream_failed", "upstream_timeout"];
        NodeMetrics {
            requests: CLASSES.into_iter().zip(totals.requests).collect(),
            versions: totals.versions,
            connection_faults: totals.connection_faults,
            request_duration: histogram(totals.duration),
            upstream_duration: histogram(totals.upstream_duration),
            connections: totals.connections_open,
            connections_by_worker: totals.connections_by_worker,
            connections_accepted: totals.connections,
            connections_limited: totals.connections_limited.into(),
            connections_handed_over: totals.connections_handed_over,
            upstream_connections: totals.upstream_connections,
            upstream_retries: vec![("sent", totals.retries), ("over_budget", totals.retries_refused)],
            upstream_ejections: totals.ejections,
            upstream_errors: totals.errors.iter().filter(|(kind, _)| upstream.contains(kind)).copied().collect(),
            plugin_faults: self.host.modules().into_iter().map(faults).collect(),
            errors: totals.errors,
            log_records_dropped: totals.log_records_dropped,
            sink_writes_dropped: self.host.dropped_writes(),
            reloads_applied: serving.generation,
            reloads_refused: serving.refused,
            held_bodies: totals.held_bodies,
            limiter_counters: self.limiter.len() as u64,
        }
    }
}

impl View {
    fn counts(&self, set: &ConfigSet) -> EntityCounts {
        let counts = EntityCounts::of(set);
        match self.database.get() {
            Some(database) => EntityCounts { credentials: database.feed.known().credentials.len(), ..counts },
            None => counts,
        }
    }
}

impl DatabaseView {
    fn status(&self) -> DatabaseStatus {
        let feed = self.feed.status();
        let bus = self.bus.state();
        let too_stale = feed.stale_for.zip(self.max_stale).is_some_and(|(stale, most)| stale > most);
        DatabaseStatus {
            state: if feed.problem.is_some() { Reach::Away } else { Reach::Connected },
            revision: feed.revision,
            stale_for: feed.stale_for.map(whole_seconds),
            too_stale,
            problem: feed.problem,
            loads: feed.loads,
            steps: feed.steps,
            bus: BusStatus {
                state: match (bus.kind.is_some(), bus.connected) {
                    (false, _) => Reach::Absent,
                    (true, true) => Reach::Connected,
                    (true, false) => Reach::Away,
                },
                problem: bus.last_error,
                received: bus.received,
                published: bus.published,
            },
        }
    }
}

fn degraded_places(
    places: Vec<(String, String)>,
    certificates: &[CertificateReport],
    client_ca: Option<String>,
) -> Vec<DegradedPlace> {
    let client_ca = client_ca.map(|reason| ("proxy.tls.client_ca_file".to_owned(), reason));
    let unusable = certificates.iter().filter_map(|certificate| {
        let reason = certificate.problem.clone()?;
        Some((format!("certificate {}", certificate.name), reason))
    });
    places.into_iter().chain(unusable).chain(client_ca).map(|(place, reason)| DegradedPlace { place, reason }).collect()
}

fn certificate(report: CertificateReport) -> CertificateStatus {
    let left = report.expires_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    let state = match left {
        None => CertificateState::Missing,
        Some(left) if left.is_zero() => CertificateState::Expired,
        Some(left) if left < SOON => CertificateState::ExpiresSoon,
        Some(_) => CertificateState::Valid,
    };
    CertificateStatus {
        name: report.name,
        state,
        expires_at: report.expires_at.map(Timestamp),
        problem: report.problem,
    }
}

/// Workers that end while the node drains are no fault.
fn worker_faults(state: &NodeState) -> Vec<WorkerFault> {
    if state.phase() != state::Phase::Serving {
        return Vec::new();
    }
    let fault = |(worker, metrics): (usize, Arc<WorkerMetrics>)| {
        let (state, silent_for) = match metrics.fault(supervisor::WORKER_PATIENCE)? {
            tollgate_proxy::WorkerFault::Stuck(time) => (WorkerState::Stuck, Some(whole_seconds(time))),
            tollgate_proxy::WorkerFault::Ended => (WorkerState::Ended, None),
        };
        Some(WorkerFault { worker, state, silent_for })
    };
    state.workers().into_iter().enumerate().filter_map(fault).collect()
}

fn whole_seconds(time: Duration) -> TimeSpan {
    TimeSpan(Duration::from_secs(time.as_secs()))
}

fn upstream(report: UpstreamReport) -> UpstreamStatus {
    let UpstreamReport { name, serving, ejected, unhealthy, out } = report;
    let target = |target: tollgate_proxy::TargetReport| TargetOut {
        target: target.target,
        state: if target.unhealthy { TargetState::Unhealthy } else { TargetState::Ejected },
        reason: target.reason,
        tried_in: (!target.unhealthy).then_some(whole_seconds(target.left)),
    };
    UpstreamStatus { name, serving, ejected, unhealthy, targets_out: out.into_iter().map(target).collect() }
}

fn module(report: plugin_host::ModuleReport) -> ModuleView {
    ModuleView {
        name: report.name,
        state: match report.state {
            plugin_host::ModuleState::Serving => ModuleState::Serving,
            plugin_host::ModuleState::Stale => ModuleState::Stale,
            plugin_host::ModuleState::Removed => ModuleState::Removed,
            plugin_host::ModuleState::Loading => ModuleState::Loading,
            plugin_host::ModuleState::Broken => ModuleState::Broken,
        },
        generation: report.generation,
        digest: report.digest,
        size: report.size.map(|bytes| bytes as u64),
        version: report.version,
        description: report.description,
        hooks: report.hooks,
        capabilities: report.capabilities,
        loaded_at: report.loaded_at.map(Timestamp),
        alive: report.alive,
        loads: report.loads,
        from_cluster: report.from_cluster,
        overrides: report.overrides,
        last_error: report.last_error.map(failure),
        faults: labelled(&report.faults).collect(),
        last_fault: report.last_fault.map(failure),
    }
}

/// By module.
fn faults(report: plugin_host::ModuleReport) -> (String, Labelled) {
    let counts = labelled(&report.faults).collect();
    (report.name, counts)
}

fn labelled(faults: &[(plugin_host::HookErrorKind, u64)]) -> impl Iterator<Item = (&'static str, u64)> {
    faults.iter().map(|(kind, count)| (kind.label(), *count))
}

fn failure((message, at): (String, SystemTime)) -> Failure {
    Failure { message, at: at.into() }
}

fn histogram(durations: Durations) -> Histogram {
    Histogram { bounds: &Durations::BOUNDS, counts: durations.counts, sum: durations.sum }
}

/// By a status's first digit; 0 for requests whose client went away before an answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
