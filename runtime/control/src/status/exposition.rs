//! Metrics in the OpenMetrics text format, version 1.0.

use std::fmt;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use tollgate_model::units::TimeSpan;

use super::process::ProcessSample;
use crate::node::{
    CertificateStatus, DatabaseStatus, Histogram, Labelled, NodeMetrics, NodeStatus, Reach, UpstreamStatus,
};

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything is a copy made for this scrape: nothing is counted here.
pub(super) fn render(metrics: NodeMetrics, status: NodeStatus, process: ProcessSample) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process));
    let node = registry.sub_registry_with_prefix("tollgate");
    node.register_collector(Box::new(metrics));
    node.register_collector(Box::new(status));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for NodeMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.counters("requests", "Answered requests by status class", "class", &self.requests)?;
        page.counters("requests_by_version", "Requests by version of HTTP", "version", &self.versions)?;
        page.counters("connection_faults", "Client connections given up", "kind", &self.connection_faults)?;
        page.seconds("request_duration", "From a request's head to its response's end", &self.request_duration)?;
        page.seconds(
            "upstream_duration",
            "From sending a request on to the head of the upstream's response",
            &self.upstream_duration,
        )?;
        page.gauge("connections", "Open connections of clients", self.connections)?;
        let by_worker = self.connections_by_worker.iter().copied().enumerate();
        page.by_number("worker_connections", "Open connections of clients by worker", "worker", by_worker)?;
        page.counters("connections_limited", "Limits of connections met", "limit", &self.connections_limited)?;
        page.counter(
            "connections_handed_over",
            "Connections given to a worker with fewer",
            self.connections_handed_over,
        )?;
        page.counter("connections_accepted", "Connections of clients", self.connections_accepted)?;
        page.gauge("upstream_connections", "Open connections to upstreams", self.upstream_connections)?;
        page.counters("upstream_retries", "Retries wanted, by what became of them", "result", &self.upstream_retries)?;
        page.counter("upstream_ejections", "Targets left out after failures", self.upstream_ejections)?;
        page.counters("upstream_errors", "Failed attempts at an upstream", "kind", &self.upstream_errors)?;
        page.plugin_faults(&self.plugin_faults)?;
        page.counters("errors", "Error responses made by the gateway itself", "kind", &self.errors)?;
        page.counter("log_records_dropped", "Log records lost to full queues", self.log_records_dropped)?;
        page.counter("sink_writes_dropped", "Plugin writes lost to full queues", self.sink_writes_dropped)?;
        let reloads = [("applied", self.reloads_applied), ("refused", self.reloads_refused)];
        page.counters("config_reloads", "New configurations by what became of them", "result", &reloads)?;
        page.measure("held_bodies", "Bodies held back for plugins", &Unit::Bytes, self.held_bodies)?;
        page.gauge("limiter_counters", "Counters that the limiter keeps", self.limiter_counters)
    }
}

impl Collector for NodeStatus {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let configuration = &self.configuration;
        page.info("build", "The version that runs", &[("version", self.version.as_str())])?;
        page.gauge("config_generation", "Changes put in place since the start", configuration.generation)?;
        let failed = u64::from(configuration.last_error.is_some());
        page.gauge("config_last_error", "1 if the newest configuration was refused", failed)?;
        if let Some(database) = &self.database {
            page.database(database)?;
        }
        page.gauge("workers_faulty", "Worker threads that hang or have ended", self.worker_faults.len() as u64)?;
        page.gauge("routes", "Routes of the configuration", self.counts.routes as u64)?;
        page.gauge(
            "degraded_places",
            "Routes, services and consumers that answer 503 on this node, and certificates that can't be used",
            self.degraded_places.len() as u64,
        )?;
        page.expiries(&self.certificates)?;
        page.targets(&self.upstreams)?;
        let modules = [
            ("serving", self.modules.serving as u64),
            ("stale", self.modules.stale as u64),
            ("removed", self.modules.removed as u64),
            ("loading", self.modules.loading as u64),
            ("broken", self.modules.broken as u64),
        ];
        page.gauges("modules", "Plugin modules by state", "state", &modules)?;
        let alive = self.modules.generations_alive as u64;
        page.gauge("module_generations_alive", "Module generations not freed yet", alive)
    }
}

/// With the names that Prometheus's own client libraries use.
impl Collector for ProcessSample {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        if let Some(bytes) = self.resident_memory {
            page.measure("process_resident_memory", "Resident memory", &Unit::Bytes, bytes)?;
        }
        if let Some(seconds) = self.start_time {
            page.measure("process_start_time", "Start of the process since 1970", &Unit::Seconds, seconds)?;
        }
        if let Some(seconds) = self.cpu_seconds {
            page.counter_with_unit("process_cpu", "User and system time", Some(&Unit::Seconds), seconds)?;
        }
        if let Some(count) = self.open_fds {
            page.gauge("process_open_fds", "Open file descriptors", count)?;
        }
        if let Some(count) = self.max_fds {
            page.gauge("process_max_fds", "Most file descriptors that may be open", count)?;
        }
        Ok(())
    }
}

/// One family a call. A counter's name goes without `_total`, an info's without `_info`, a measured
/// one's without its unit: the format adds them.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        self.counter_with_unit(name, help, None, count)
    }

    fn counter_with_unit(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        count: impl EncodeCounterValue,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, u64>(&count, None)
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, counts: &[(&'static str, u64)]) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in counts {
            family.encode_family(&[(label, *value)])?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&'static str, u64)]) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (label_value, value) in values {
            family.encode_family(&[(label, *label_value)])?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn by_number(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (usize, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (number, value) in values {
            family.encode_family(&[(label, number.to_string())])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn plugin_faults(&mut self, modules: &[(String, Labelled)]) -> fmt::Result {
        let mut family = self.0.encode_descriptor("plugin_faults", "Hooks that failed", None, MetricType::Counter)?;
        for (module, faults) in modules {
            for (kind, count) in faults {
                let labels = [("module", module.as_str()), ("kind", *kind)];
                family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }
        Ok(())
    }

    fn database(&mut self, database: &DatabaseStatus) -> fmt::Result {
        let is_connected = |state: Reach| u64::from(state == Reach::Connected);
        self.gauge("database_connected", "1 while the database can be asked", is_connected(database.state))?;
        self.gauge("config_revision", "Revision of the configuration that this node has", database.revision)?;
        let stale = database.stale_for.map_or(0, |TimeSpan(time)| time.as_secs());
        self.measure("config_stale", "How long the database could not be asked", &Unit::Seconds, stale)?;
        self.counter("config_loads", "Times that the whole configuration was loaded", database.loads)?;
        self.counter("config_steps", "Revisions followed one by one", database.steps)?;
        if database.bus.state != Reach::Absent {
            self.gauge("bus_connected", "1 while Redis tells of changes", is_connected(database.bus.state))?;
        }
        let hints = [("received", database.bus.received), ("published", database.bus.published)];
        self.counters("bus_hints", "Hints of changes by Redis", "direction", &hints)
    }

    fn expiries(&mut self, certificates: &[CertificateStatus]) -> fmt::Result {
        let help = "When the certificates that are shown expire";
        let (name, unit) = ("certificate_expiry_timestamp", Some(&Unit::Seconds));
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for certificate in certificates {
            let Some(at) = certificate.expires_at else { continue };
            let seconds = at.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            family.encode_family(&[("certificate", certificate.name.as_str())])?.encode_gauge(&seconds)?;
        }
        Ok(())
    }

    fn targets(&mut self, upstreams: &[UpstreamStatus]) -> fmt::Result {
        let help = "Targets of upstreams by state";
        let mut family = self.0.encode_descriptor("upstream_targets", help, None, MetricType::Gauge)?;
        for upstream in upstreams {
            let states =
                [("serving", upstream.serving), ("ejected", upstream.ejected), ("unhealthy", upstream.unhealthy)];
            for (state, count) in states {
                let labels = [("upstream", upstream.name.as_str()), ("state", state)];
                family.encode_family(&labels)?.encode_gauge(&(count as u64))?;
            }
        }
        Ok(())
    }

    fn measure(&mut self, name: &str, help: &str, unit: &Unit, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, Some(unit), MetricType::Gauge)?.encode_gauge(&value)
    }

    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }

    fn seconds(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
        // A histogram that was never written has no counts yet.
        let counts = histogram.counts.iter().copied().chain(std::iter::repeat(0));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mut family = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        family.encode_histogram::<NoLabelSet>(histogram.sum, count, &buckets, None)
    }
}
