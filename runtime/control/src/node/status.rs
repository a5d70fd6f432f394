use std::time::Duration;

use serde::{Serialize, Serializer};
use tollgate_model::ConfigSet;
use tollgate_model::units::TimeSpan;

use super::{ModuleState, ModuleView};
use crate::Timestamp;

/// How a node is doing.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    /// The node's name.
    pub node: String,
    pub version: String,
    pub started_at: Timestamp,
    /// Shown in whole seconds.
    #[serde(serialize_with = "whole_seconds")]
    pub uptime: Duration,
    pub phase: Phase,
    /// Threads that serve requests.
    pub workers: usize,
    /// Those of them that do not move: the node is not ready then.
    pub worker_faults: Vec<WorkerFault>,
    pub configuration: ConfigurationStatus,
    /// Of a node that follows a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,
    pub counts: EntityCounts,
    /// Routes, services and consumers that answer 503 on this node, and certificates that can't be used
    /// as they are.
    pub degraded_places: Vec<DegradedPlace>,
    pub certificates: Vec<CertificateStatus>,
    /// Those of which targets may be left out.
    pub upstreams: Vec<UpstreamStatus>,
    pub modules: ModuleCounts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// No configuration serves yet.
    Starting,
    Serving,
    /// Asked to end: what was accepted is still answered, nobody should send more.
    Draining,
}

#[derive(Clone, Debug, Serialize)]
pub struct ConfigurationStatus {
    /// The store's URL as the node was given it: `file:gateway.toml`.
    pub source: String,
    /// Of the file that serves, in hex. `None` before the first, and of a database.
    pub digest: Option<String>,
    /// Of the database, that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// When the state that serves was put in place. `None` before the first.
    pub loaded_at: Option<Timestamp>,
    /// Number of changes put in place since the start, the first state included.
    pub generation: u64,
    /// Why the newest state does not serve. `None` when it does.
    pub last_error: Option<Failure>,
}

/// How a node stands to its database.
#[derive(Clone, Debug, Serialize)]
pub struct DatabaseStatus {
    pub state: Reach,
    /// What this node has; it serves by it as soon as it is built.
    pub revision: u64,
    /// How long the database could not be asked; what is newer there is not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_for: Option<TimeSpan>,
    /// The node is stale for longer than `store.max_stale`: it is not ready.
    pub too_stale: bool,
    pub problem: Option<String>,
    /// Times that everything was loaded, the start included.
    pub loads: u64,
    /// Revisions that were followed one by one.
    pub steps: u64,
    /// Whether Redis tells when to look.
    pub bus: BusStatus,
}

#[derive(Clone, Debug, Serialize)]
pub struct BusStatus {
    pub state: Reach,
    pub problem: Option<String>,
    /// Hints heard, and told to others.
    pub received: u64,
    pub published: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    Connected,
    /// The node goes on without it.
    Away,
    /// None is configured.
    Absent,
}

/// What went wrong, and when.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The whole report, perhaps of many lines. Without secrets.
    pub message: String,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EntityCounts {
    pub routes: usize,
    pub services: usize,
    pub consumers: usize,
    pub credentials: usize,
    pub plugins: usize,
}

impl EntityCounts {
    /// Counts a set, O(consumers).
    pub fn of(set: &ConfigSet) -> EntityCounts {
        EntityCounts {
            routes: set.routes.len(),
            services: set.services.len(),
            consumers: set.consumers.len(),
            credentials: set.consumers.values().map(|consumer| consumer.keys.len()).sum(),
            plugins: set.plugins.len(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct DegradedPlace {
    /// `route orders`, `consumer demo`, `certificate main`.
    pub place: String,
    pub reason: String,
}

/// A certificate that TLS clients may be shown.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateStatus {
    pub name: String,
    pub state: CertificateState,
    /// Of the one that is shown.
    pub expires_at: Option<Timestamp>,
    /// Why its files can't be used as they are; the last good ones are shown, if there were any.
    pub problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    Valid,
    /// Within 14 days.
    ExpiresSoon,
    Expired,
    /// It was never fit to be shown.
    Missing,
}

/// A worker thread that serves nobody.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerFault {
    /// Its number, from 0.
    pub worker: usize,
    pub state: WorkerState,
    /// Since it moved last; not of one that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_for: Option<TimeSpan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// Its thread hangs.
    Stuck,
    /// Its thread has ended.
    Ended,
}

/// How the targets of an upstream are, as this node sees them.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamStatus {
    pub name: String,
    /// Targets that get requests.
    pub serving: usize,
    /// Left out for a while, because requests to them failed.
    pub ejected: usize,
    /// Left out, because their health check failed.
    pub unhealthy: usize,
    /// Those that are left out.
    pub targets_out: Vec<TargetOut>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TargetOut {
    pub target: String,
    pub state: TargetState,
    pub reason: String,
    /// Until it is tried again; not of an unhealthy one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried_in: Option<TimeSpan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    Ejected,
    Unhealthy,
}

/// Modules by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModuleCounts {
    pub serving: usize,
    pub stale: usize,
    pub removed: usize,
    pub loading: usize,
    pub broken: usize,
    /// Hooks of all modules that failed since the start.
    pub faults: u64,
    /// Generations of all modules that are not freed yet, the serving ones included.
    pub generations_alive: usize,
}

impl ModuleCounts {
    pub fn of(modules: &[ModuleView]) -> ModuleCounts {
        let in_state = |state: ModuleState| modules.iter().filter(|module| module.state == state).count();
        ModuleCounts {
            serving: in_state(ModuleState::Serving),
            stale: in_state(ModuleState::Stale),
            removed: in_state(ModuleState::Removed),
            loading: in_state(ModuleState::Loading),
            faults: modules.iter().flat_map(|module| module.faults.values()).sum(),
            broken: in_state(ModuleState::Broken),
            generations_alive: modules.iter().map(|module| module.alive).sum(),
        }
    }
}

fn whole_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&TimeSpan(Duration::from_secs(duration.as_secs())))
}
