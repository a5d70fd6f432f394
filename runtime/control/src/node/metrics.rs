/// Counts by label value. Every value comes from a fixed list, so that the number of time series is
/// bounded whatever clients send.
pub type Labelled = Vec<(&'static str, u64)>;

/// What the data plane counted since the start; gauges are marked so. What a
/// [`NodeStatus`](super::NodeStatus) tells is exposed from there.
#[derive(Clone, Debug, Default)]
pub struct NodeMetrics {
    /// Answered requests by status class: `1xx` to `5xx`.
    pub requests: Labelled,
    /// Requests by the version of HTTP they came in.
    pub versions: Labelled,
    /// Connections of clients that were given up, by kind.
    pub connection_faults: Labelled,
    /// From a request's head to its response's end.
    pub request_duration: Histogram,
    /// From the moment a request is sent on to the head of the upstream's response.
    pub upstream_duration: Histogram,
    /// Gauge: open connections of clients.
    pub connections: u64,
    /// Gauge: of those, each worker's.
    pub connections_by_worker: Vec<u64>,
    /// Connections of clients, the closed ones included.
    pub connections_accepted: u64,
    /// How often a limit of connections was met, by limit.
    pub connections_limited: Labelled,
    /// Connections that a worker gave to one with fewer.
    pub connections_handed_over: u64,
    /// Gauge: open connections to upstreams.
    pub upstream_connections: u64,
    /// Requests sent upstream once more, and those that the budget of their service held back.
    pub upstream_retries: Labelled,
    /// Targets that were left out because requests to them failed, each time.
    pub upstream_ejections: u64,
    /// Failed attempts to get an answer from an upstream, by kind.
    pub upstream_errors: Labelled,
    /// Hooks that trapped, timed out or found no free instance, by module and kind.
    pub plugin_faults: Vec<(String, Labelled)>,
    /// Responses that the gateway itself made for an error, by kind.
    pub errors: Labelled,
    pub log_records_dropped: u64,
    pub sink_writes_dropped: u64,
    /// Configurations put in place.
    pub reloads_applied: u64,
    /// Configurations refused.
    pub reloads_refused: u64,
    /// Gauge: counters that the limiter keeps.
    pub limiter_counters: u64,
    /// Gauge: bytes of bodies that are held back for plugins.
    pub held_bodies: u64,
}

/// How often a duration fell between two bounds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Upper bounds in seconds, ascending, each included in its bucket.
    pub bounds: &'static [f64],
    /// One count for each bound, not cumulative, and a last one for what is over all bounds.
    pub counts: Vec<u64>,
    /// Of all durations, in seconds.
    pub sum: f64,
}
