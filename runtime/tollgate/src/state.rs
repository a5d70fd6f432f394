//! How the node is doing: written by who runs it, read by who asks.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime};

use tollgate_model::ConfigSet;
use tollgate_plugin_host::Prepared;
use tollgate_proxy::{Healths, WorkerMetrics};

use crate::certificates::CertificateReport;

/// Shared between the reconciler, the node's life cycle and the view of it.
pub struct NodeState {
    pub started_at: SystemTime,
    pub started: Instant,
    phase: AtomicU8,
    serving: Mutex<Serving>,
    workers: Mutex<Vec<Arc<WorkerMetrics>>>,
}

/// What serves, and what was tried last.
#[derive(Clone, Default)]
pub struct Serving {
    pub set: Arc<ConfigSet>,
    pub prepared: Prepared,
    /// Of the file.
    pub digest: Option<String>,
    /// Of the database.
    pub revision: Option<u64>,
    pub loaded_at: Option<SystemTime>,
    /// Applied changes.
    pub generation: u64,
    pub refused: u64,
    /// Places that can't be served, and why.
    pub degraded: Vec<(String, String)>,
    /// Places that are served by an older state than there is, and why.
    pub stale: Vec<(String, String)>,
    pub certificates: Vec<CertificateReport>,
    /// Why the file of the authorities of client certificates can't be used as it is.
    pub client_ca_problem: Option<String>,
    /// How upstreams are, as it changes.
    pub healths: Healths,
    pub last_error: Option<(String, SystemTime)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    Starting,
    Serving,
    Draining,
}

impl NodeState {
    pub fn new() -> NodeState {
        NodeState {
            started_at: SystemTime::now(),
            started: Instant::now(),
            phase: AtomicU8::new(Phase::Starting as u8),
            serving: Mutex::default(),
            workers: Mutex::default(),
        }
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            phase if phase == Phase::Starting as u8 => Phase::Starting,
            phase if phase == Phase::Serving as u8 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// A consistent copy.
    pub fn serving(&self) -> Serving {
        self.lock().clone()
    }

    /// What can't be served at all, and why: of the configuration, and certificates.
    pub fn lacking(&self) -> Vec<(String, String)> {
        let serving = self.lock();
        let missing = serving.certificates.iter().filter(|certificate| certificate.expires_at.is_none());
        let missing = missing.map(|certificate| {
            (format!("certificate {}", certificate.name), certificate.problem.clone().unwrap_or_default())
        });
        serving.degraded.iter().cloned().chain(missing).collect()
    }

    pub fn set(&self) -> Arc<ConfigSet> {
        Arc::clone(&self.lock().set)
    }

    pub fn change(&self, change: impl FnOnce(&mut Serving)) {
        change(&mut self.lock());
    }

    pub fn has_workers(&self, workers: Vec<Arc<WorkerMetrics>>) {
        *self.workers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = workers;
    }

    pub fn workers(&self) -> Vec<Arc<WorkerMetrics>> {
        self.workers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
