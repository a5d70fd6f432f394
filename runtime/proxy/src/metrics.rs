//! Counters of a worker, written by it alone and read by whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Version;

use crate::error::{ErrorKind, LABELS};

/// Why a client's connection was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    /// No TLS session came about.
    Handshake,
    /// Too many control frames.
    Flood,
}

/// Metric labels of [`ConnectionFault`], in its order.
const FAULTS: [&str; 2] = ["tls_handshake", "http2_flood"];
/// Versions of HTTP that requests come in.
const VERSIONS: [&str; 3] = ["1.0", "1.1", "2"];

/// What one worker counted since the start.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    /// By the status's first digit, 1 to 5; 0 for requests that were never answered.
    requests: [Counter; 6],
    /// In the order of [`VERSIONS`].
    versions: [Counter; VERSIONS.len()],
    connection_faults: [Counter; FAULTS.len()],
    errors: [Counter; LABELS.len()],
    duration: HistogramCounters,
    upstream_duration: HistogramCounters,
    pub(crate) connections: Counter,
    pub(crate) connections_open: Counter,
    pub(crate) upstream_connections: Counter,
    pub(crate) retries: Counter,
    /// Not sent because the service's budget was used up.
    pub(crate) retries_refused: Counter,
    /// Targets ejected, each time.
    pub(crate) ejections: Counter,
    pub(crate) log_records_dropped: Counter,
    /// Connections that were closed: their address had as many as it may.
    pub(crate) refused_by_address: Counter,
    /// Connections that had to wait for others to end.
    pub(crate) held_back: Counter,
    /// Times that accepting failed for want of descriptors or memory.
    pub(crate) accepts_failed: Counter,
    /// Connections given to a worker with fewer.
    pub(crate) handed_over: Counter,
    /// Of all workers; each of them tells.
    pub(crate) held_bodies: Counter,
    pulse: Pulse,
}

/// Whether the worker's thread moves.
#[derive(Debug)]
struct Pulse {
    started: Instant,
    /// Milliseconds after that: the latest beat.
    beat: AtomicU64,
    ended: AtomicBool,
}

/// Why a worker serves nobody, or at least does not look after what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerFault {
    /// Its thread has not moved for so long.
    Stuck(Duration),
    /// Its thread has ended.
    Ended,
}

/// Tells that the worker's thread has ended, however it did.
pub(crate) struct Living(Arc<WorkerMetrics>);

/// All workers together.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub requests: [u64; 6],
    pub versions: Vec<(&'static str, u64)>,
    pub connection_faults: Vec<(&'static str, u64)>,
    pub errors: Vec<(&'static str, u64)>,
    pub duration: Histogram,
    pub upstream_duration: Histogram,
    pub connections: u64,
    pub connections_open: u64,
    /// Of those, each worker's.
    pub connections_by_worker: Vec<u64>,
    /// How often a limit of connections was met, by limit.
    pub connections_limited: [(&'static str, u64); 3],
    pub connections_handed_over: u64,
    pub upstream_connections: u64,
    pub retries: u64,
    pub retries_refused: u64,
    pub ejections: u64,
    /// Bytes.
    pub held_bodies: u64,
    pub log_records_dropped: u64,
}

/// Observations by upper bound, in seconds; the last count is what is over all bounds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    pub counts: Vec<u64>,
    pub sum: f64,
}

impl Histogram {
    /// Upper bounds in seconds.
    pub const BOUNDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
}

/// Written by one thread: no locked instruction is needed.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

#[derive(Debug, Default)]
struct HistogramCounters {
    counts: [Counter; Histogram::BOUNDS.len() + 1],
    microseconds: Counter,
}

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.set(self.get() + n);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Pulse {
    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse { started: Instant::now(), beat: AtomicU64::new(0), ended: AtomicBool::new(false) }
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.pulse.ended.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            tracing::error!("a worker panicked: its connections are lost, this node is not ready any more");
        }
    }
}

impl HistogramCounters {
    fn observe(&self, duration: Duration) {
        let microseconds = duration.as_micros() as u64;
        // Most requests are quick: the first bounds are looked at first.
        let bucket = BOUNDS.iter().position(|bound| microseconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket].add(1);
        self.microseconds.add(microseconds);
    }

    fn add_to(&self, total: &mut Histogram) {
        total.counts.resize(self.counts.len(), 0);
        for (total, count) in total.counts.iter_mut().zip(&self.counts) {
            *total += count.get();
        }
        total.sum += self.microseconds.get() as f64 / 1e6;
    }
}

impl WorkerMetrics {
    pub(crate) fn request(&self, status: u16, duration: Duration, upstream: Option<Duration>) {
        self.requests[usize::from(status / 100).min(5)].add(1);
        self.duration.observe(duration);
        if let Some(upstream) = upstream {
            self.upstream_duration.observe(upstream);
        }
    }

    pub(crate) fn version(&self, version: Version) {
        let at = match version {
            Version::HTTP_2 => 2,
            Version::HTTP_10 => 0,
            _ => 1,
        };
        self.versions[at].add(1);
    }

    pub(crate) fn connection_fault(&self, fault: ConnectionFault) {
        self.connection_faults[fault as usize].add(1);
    }

    pub(crate) fn error(&self, kind: ErrorKind) {
        self.errors[kind.index()].add(1);
    }

    /// The worker's thread moves. Once a second.
    pub(crate) fn beat(&self) {
        self.pulse.beat.store(self.pulse.now(), Ordering::Relaxed);
    }

    /// To be held by the worker's thread.
    pub(crate) fn live(self: &Arc<Self>) -> Living {
        Living(Arc::clone(self))
    }

    /// What is wrong with the worker, which may be still for `patience`: it beats once a second.
    pub fn fault(&self, patience: Duration) -> Option<WorkerFault> {
        if self.pulse.ended.load(Ordering::Relaxed) {
            return Some(WorkerFault::Ended);
        }
        let silence = self.pulse.now().saturating_sub(self.pulse.beat.load(Ordering::Relaxed));
        let silence = Duration::from_millis(silence);
        (silence > patience).then_some(WorkerFault::Stuck(silence))
    }

    /// Sums up all workers.
    pub fn totals(workers: &[Arc<WorkerMetrics>]) -> Totals {
        let sum = |pick: fn(&WorkerMetrics) -> &Counter| workers.iter().map(|worker| pick(worker).get()).sum();
        let mut totals = Totals {
            connections: sum(|worker| &worker.connections),
            connections_open: sum(|worker| &worker.connections_open),
            connections_by_worker: workers.iter().map(|worker| worker.connections_open.get()).collect(),
            connections_limited: [
                ("node", sum(|worker| &worker.held_back)),
                ("address", sum(|worker| &worker.refused_by_address)),
                ("descriptors", sum(|worker| &worker.accepts_failed)),
            ],
            connections_handed_over: sum(|worker| &worker.handed_over),
            upstream_connections: sum(|worker| &worker.upstream_connections),
            retries: sum(|worker| &worker.retries),
            retries_refused: sum(|worker| &worker.retries_refused),
            held_bodies: workers.iter().map(|worker| worker.held_bodies.get()).max().unwrap_or_default(),
            ejections: sum(|worker| &worker.ejections),
            log_records_dropped: sum(|worker| &worker.log_records_dropped),
            ..Totals::default()
        };
        for (i, label) in VERSIONS.iter().enumerate() {
            totals.versions.push((label, workers.iter().map(|worker| worker.versions[i].get()).sum()));
        }
        for (i, label) in FAULTS.iter().enumerate() {
            let count = workers.iter().map(|worker| worker.connection_faults[i].get()).sum();
            totals.connection_faults.push((label, count));
        }
        for (i, label) in LABELS.iter().enumerate() {
            totals.errors.push((label, workers.iter().map(|worker| worker.errors[i].get()).sum()));
        }
        for worker in workers {
            for (total, counter) in totals.requests.iter_mut().zip(&worker.requests) {
                *total += counter.get();
            }
            worker.duration.add_to(&mut totals.duration);
            worker.upstream_duration.add_to(&mut totals.upstream_duration);
        }
        totals
    }
}

/// [`Histogram::BOUNDS`] in microseconds.
const BOUNDS: [u64; Histogram::BOUNDS.len()] = {
    let mut bounds = [0; Histogram::BOUNDS.len()];
    let mut i = 0;
    while i < bounds.len() {
        bounds[i] = (Histogram::BOUNDS[i] * 1e6) as u64;
        i += 1;
    }
    bounds
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_is_still_or_has_ended_is_noticed() {
        let metrics = Arc::new(WorkerMetrics::default());
        let patience = Duration::from_millis(20);
        let living = metrics.live();
        assert_eq!(metrics.fault(Duration::from_secs(3600)), None);
        while metrics.fault(patience).is_none() {
            std::thread::yield_now();
        }
        assert!(matches!(metrics.fault(patience), Some(WorkerFault::Stuck(time)) if time > patience));
        metrics.beat();
        assert_eq!(metrics.fault(Duration::from_secs(3600)), None);
        let thread = std::thread::spawn(move || {
            let _living = living;
            panic!("as a worker might");
        });
        assert!(thread.join().is_err());
        assert_eq!(metrics.fault(patience), Some(WorkerFault::Ended));
    }
}
