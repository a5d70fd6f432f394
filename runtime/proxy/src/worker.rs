//! A worker: one thread with its own runtime, listener, upstream connections and plugin instances.

use std::cell::{Ref, RefCell};
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tollgate_plugin_host as plugin_host;

use crate::accept;
use crate::admission::{Admission, Arrival};
use crate::config::ProxyConfig;
use crate::drain::{OpenCount, Reached, Stage, Stages};
use crate::held::HeldBodies;
use crate::intake::RequestIds;
use crate::metrics::WorkerMetrics;
use crate::snapshot::Snapshot;
use crate::tls::TlsServer;
use crate::upstream::{ConnectionPool, RetryBudgets};

/// What a worker's requests share. Lives on its thread.
pub(crate) struct Shared {
    pub(crate) config: Arc<ProxyConfig>,
    pub(crate) plugins: Rc<plugin_host::Worker>,
    pub(crate) pool: ConnectionPool,
    pub(crate) retry_budgets: RetryBudgets,
    pub(crate) ids: RequestIds,
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(crate) connections: OpenCount,
    pub(crate) tunnels: OpenCount,
    pub(crate) admission: Arc<Admission>,
    /// Bodies that are held back, of all workers.
    pub(crate) held: Arc<HeldBodies>,
    /// This worker's number.
    pub(crate) index: usize,
    snapshot: RefCell<Arc<Snapshot>>,
    stages: Stages,
}

/// Where a worker's clients connect.
pub struct Listener {
    pub socket: TcpListener,
    /// `None`: plaintext.
    pub tls: Option<TlsServer>,
}

/// A worker as the rest of the process holds it.
pub struct WorkerHandle {
    swaps: mpsc::UnboundedSender<Swap>,
    draining: watch::Sender<bool>,
    metrics: Arc<WorkerMetrics>,
    thread: JoinHandle<()>,
}

struct Swap {
    snapshot: Arc<Snapshot>,
    done: oneshot::Sender<()>,
}

/// Starts the workers of a node, each on its listeners, which are already bound.
pub fn spawn(
    listeners: Vec<Vec<Listener>>,
    config: Arc<ProxyConfig>,
    plugins: Arc<plugin_host::Host>,
    snapshot: Arc<Snapshot>,
) -> io::Result<Vec<WorkerHandle>> {
    let (admission, inboxes) = Admission::new(&config, listeners.len());
    let held = HeldBodies::new(config.held_bodies);
    let sources = listeners.into_iter().zip(inboxes).map(|(listeners, inbox)| Sources { listeners, inbox });
    let start = |(index, sources)| {
        let (config, plugins) = (Arc::clone(&config), Arc::clone(&plugins));
        start(index, sources, config, plugins, Arc::clone(&snapshot), Arc::clone(&admission), Arc::clone(&held))
    };
    sources.enumerate().map(start).collect()
}

/// Where a worker's connections come from.
struct Sources {
    listeners: Vec<Listener>,
    inbox: mpsc::UnboundedReceiver<Arrival>,
}

fn start(
    index: usize,
    sources: Sources,
    config: Arc<ProxyConfig>,
    plugins: Arc<plugin_host::Host>,
    snapshot: Arc<Snapshot>,
    admission: Arc<Admission>,
    held: Arc<HeldBodies>,
) -> io::Result<WorkerHandle> {
    let (swaps, swapped) = mpsc::unbounded_channel();
    let (draining, drain) = watch::channel(false);
    let metrics = Arc::new(WorkerMetrics::default());
    let counted = Arc::clone(&metrics);
    for listener in &sources.listeners {
        listener.socket.set_nonblocking(true)?;
    }
    let living = metrics.live();
    let (begun, beginning) = std::sync::mpsc::sync_channel(1);
    let runtime = move || {
        let _living = living;
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(async move {
                let _ = begun.send(Ok(()));
                let shared = Rc::new(Shared {
                    plugins: plugin_host::Worker::new(plugins),
                    pool: ConnectionPool::new(config.upstream_idle_connections, config.upstream_idle),
                    retry_budgets: RetryBudgets::default(),
                    ids: RequestIds::new(),
                    metrics: counted,
                    connections: OpenCount::default(),
                    tunnels: OpenCount::default(),
                    admission,
                    held,
                    index,
                    snapshot: RefCell::new(Arc::clone(&snapshot)),
                    stages: Stages::default(),
                    config,
                });
                shared.plugins.told_of_swap(snapshot.uses());
                // Not for as long as the worker lives: it would keep the first modules.
                drop(snapshot);
                run(shared, sources, swapped, drain).await;
            }),
            Err(error) => {
                let _ = begun.send(Err(error));
            }
        }
    };
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(runtime)?;
    // A node that says it is ready has all its workers.
    beginning.recv().unwrap_or_else(|_| Err(io::Error::other("a worker's thread ended at its start")))?;
    Ok(WorkerHandle { swaps, draining, metrics, thread })
}

impl WorkerHandle {
    /// Tells the worker to serve new requests by this snapshot; done when it does.
    pub fn swap(&self, snapshot: Arc<Snapshot>) -> oneshot::Receiver<()> {
        let (done, swapped) = oneshot::channel();
        // A worker that has ended serves nothing: its end of `done` is dropped, which is an answer.
        let _ = self.swaps.send(Swap { snapshot, done });
        swapped
    }

    /// Tells the worker to accept no more and to end once its connections are done.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub fn metrics(&self) -> &Arc<WorkerMetrics> {
        &self.metrics
    }

    /// Waits for the thread. Blocks.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a worker panicked");
        }
    }
}

async fn run(
    shared: Rc<Shared>,
    sources: Sources,
    mut swaps: mpsc::UnboundedReceiver<Swap>,
    mut told: watch::Receiver<bool>,
) {
    let following = Rc::clone(&shared);
    tokio::task::spawn_local(async move {
        while let Some(Swap { snapshot, done }) = swaps.recv().await {
            following.serve_by(snapshot);
            let _ = done.send(());
        }
    });
    let keeping = Rc::clone(&shared);
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            keeping.keep_house();
        }
    });
    let staging = Rc::clone(&shared);
    tokio::task::spawn_local(async move {
        // The handle goes with the process only: that too is an end.
        let _ = told.wait_for(|draining| *draining).await;
        staging.stages.enter(Stage::Draining);
    });
    let mut accepting = tokio::task::JoinSet::new();
    let Sources { listeners, inbox } = sources;
    let receiving = Rc::clone(&shared);
    accepting.spawn_local(async move { accept::receive(&receiving, inbox).await });
    for listener in listeners {
        let shared = Rc::clone(&shared);
        accepting.spawn_local(async move {
            let Listener { socket, tls } = listener;
            match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => accept::accept(&shared, socket, tls).await,
                Err(error) => tracing::error!(%error, "worker can't listen"),
            }
        });
    }
    while accepting.join_next().await.is_some() {}
    let done = async {
        shared.connections.emptied().await;
        shared.tunnels.emptied().await;
    };
    if tokio::time::timeout(shared.config.drain, done).await.is_err() {
        let (connections, tunnels) = (shared.connections.count(), shared.tunnels.count());
        tracing::warn!(connections, tunnels, "drain time is over, closing what is left");
    }
    shared.stages.enter(Stage::Closing);
    let closed = async {
        shared.connections.emptied().await;
        shared.tunnels.emptied().await;
    };
    // Their records are written as they end.
    let _ = tokio::time::timeout(CLOSE_TIME, closed).await;
    shared.plugins.flush_logs().await;
    shared.keep_house();
}

impl Shared {
    /// The snapshot that new requests are served by.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// The same for what does not wait.
    pub(crate) fn current(&self) -> Ref<'_, Snapshot> {
        Ref::map(self.snapshot.borrow(), Arc::as_ref)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.stages.now() >= Stage::Draining
    }

    /// Done once nothing new is accepted any more.
    pub(crate) fn draining(&self) -> Reached<'_> {
        self.stages.reached(Stage::Draining)
    }

    /// Done once the time for finishing is over.
    pub(crate) fn closing(&self) -> Reached<'_> {
        self.stages.reached(Stage::Closing)
    }

    /// Tunnels included.
    pub(crate) fn count_connections(&self) {
        self.metrics.connections_open.set(self.admission.open_at(self.index) as u64);
    }

    /// Takes no longer than what changed takes.
    fn serve_by(&self, snapshot: Arc<Snapshot>) {
        let old = self.snapshot.replace(Arc::clone(&snapshot));
        if !snapshot.has_uses_of(&old) {
            self.plugins.told_of_swap(snapshot.uses());
        }
        if !snapshot.has_services_of(&old) {
            self.pool.sweep(|endpoint| snapshot.endpoints().holds(endpoint));
        }
        // The last holder of an old snapshot frees it: not a worker, if another thread still has it.
        drop(old);
    }

    fn keep_house(&self) {
        let snapshot = self.snapshot();
        let now = Instant::now();
        for endpoint in self.pool.endpoints() {
            // Connections that are kept would lead to its old address for ever.
            endpoint.refresh_name(now);
        }
        self.pool.sweep(|endpoint| snapshot.endpoints().holds(endpoint));
        self.retry_budgets.sweep();
        if self.admission.is_short_of_descriptors() {
            self.pool.close_idle();
        }
        self.plugins.keep_house();
        self.metrics.held_bodies.set(self.held.bytes());
        self.metrics.upstream_connections.set(self.pool.open());
        self.metrics.log_records_dropped.set(self.plugins.dropped_records());
        self.count_connections();
        self.metrics.beat();
    }
}

const HOUSEKEEPING: Duration = Duration::from_secs(1);
const CLOSE_TIME: Duration = Duration::from_secs(1);
