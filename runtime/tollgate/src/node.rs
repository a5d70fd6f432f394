//! Puts a node together and takes it through its life: start, serve, be replaced or drain, end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tollgate_control::{AdminOptions, NodeView, serve_admin, serve_status};
use tollgate_keys::Pepper;
use tollgate_limits::Local;
use tollgate_plugin_host::Host;
use tollgate_proxy::{Builder, WorkerHandle};
use tollgate_store::FileStore;

use crate::cmd::Invalid;
use crate::config::NodeConfig;
use crate::descriptors;
use crate::inherited::Inherited;
use crate::listeners::Listeners;
use crate::reconciler::Reconciler;
use crate::signals::Signals;
use crate::state::{NodeState, Phase};
use crate::supervisor;
use crate::upgrade::{Door, Launch, Predecessor, Upgrades};
use crate::view::View;

/// How this process came to be, and how its successor will.
pub struct Beginning<'a> {
    /// Where to write the addresses listened on.
    pub addresses_file: Option<&'a Path>,
    pub inherited: Inherited,
    /// The process that this one replaces.
    pub predecessor: Option<&'a Predecessor>,
    pub launch: Launch,
}

/// Why a node stops serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was told to, or there is nothing left to do.
    Stopped,
    /// Its successor serves on the same sockets.
    Replaced,
}

/// Runs until a signal says stop, or a successor took over, and what was accepted is served.
pub fn run(config: NodeConfig, beginning: Beginning<'_>) -> anyhow::Result<()> {
    // Apart from the workers: nothing done here can hold up a request.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    runtime.block_on(live(config, beginning))
}

async fn live(config: NodeConfig, beginning: Beginning<'_>) -> anyhow::Result<()> {
    let Beginning { addresses_file, mut inherited, predecessor, launch } = beginning;
    let mut signals = Signals::listen()?;
    let limit = descriptors::raise();
    let listeners = Listeners::open(&config, &mut inherited)?;
    match predecessor {
        // It drains them.
        Some(_) => inherited.left_over().for_each(|address| tracing::info!(%address, "no longer listened on")),
        None => inherited.refuse_left_over()?,
    }
    drop(inherited);
    let addresses = listeners.addresses()?;
    let estate = listeners.estate()?;
    let state = Arc::new(NodeState::new());
    let limiter = Arc::new(Local::new());
    let host = Host::start(config.plugins.clone(), Arc::clone(&limiter))?;
    let store = FileStore::open(&config.store);
    let watch = Reconciler::watch(&store, &config.plugins.folder).context("files can't be watched")?;

    let view: Arc<dyn NodeView> =
        Arc::new(View::new(&config, Arc::clone(&state), Arc::clone(&host), Arc::clone(&limiter)));
    let (stop, stopped) = watch::channel(false);
    let status = serve_status(listeners.status, Arc::clone(&view), told(stopped.clone()));
    let admin = serve_admin(listeners.admin, view, AdminOptions::default(), told(stopped));
    let mut control = Some(async move {
        let (status, admin) = tokio::join!(status, admin);
        if let Err(error) = status.and(admin) {
            tracing::error!(%error, "the status or admin listener ended");
        }
    });
    let mut controlling = None;
    if predecessor.is_none() {
        // Probes see a node that starts. A successor leaves them to its predecessor until it serves.
        controlling = control.take().map(tokio::spawn);
        addresses.announce(addresses_file)?;
    }

    let mut reconciler = Reconciler::new(store, Arc::clone(&host), Builder::new(Pepper::random()), Arc::clone(&state));
    let first = reconciler.first().await.map_err(Invalid)?;
    let proxy = Arc::new(descriptors::bounded(&config.proxy, limit));
    let workers = tollgate_proxy::spawn(listeners.proxy, proxy, Arc::clone(&host), first)?;
    let metrics: Vec<_> = workers.iter().map(|worker| Arc::clone(worker.metrics())).collect();
    state.has_workers(metrics.clone());
    state.enter(Phase::Serving);
    if let Some(control) = control.take() {
        controlling = Some(tokio::spawn(control));
        addresses.announce(addresses_file)?;
    }
    let (node, version) = (&config.name, env!("CARGO_PKG_VERSION"));
    tracing::info!(node, version, addresses = ?addresses.proxy, workers = workers.len(), "serving");

    let mut end = End::Stopped;
    if settled(&config, predecessor).await {
        let upgrades = Upgrades { launch: &launch, estate: &estate, door: door(&config) };
        if let Some(predecessor) = predecessor {
            predecessor.taken().await;
        }
        end = tokio::select! {
            () = reconciler.follow(watch, &workers) => End::Stopped,
            () = sweep(&limiter) => End::Stopped,
            () = supervisor::watchdog(metrics) => End::Stopped,
            id = upgrades.replaced() => {
                tracing::info!(id, "replaced");
                End::Replaced
            }
            () = signals.stop() => End::Stopped,
        };
    }
    // The last other holder of the sockets: from now on a socket that is not accepted from is closed.
    drop(estate);
    if end == End::Replaced {
        // Probes are the successor's from here on: from this process they would hear of a drain.
        stop.send_replace(true);
        ended(&mut controlling).await;
    }
    drain(&config, &state, workers, end, &mut signals).await;
    tokio::task::spawn_blocking(move || host.flush_sinks(SINK_PATIENCE)).await?;
    stop.send_replace(true);
    ended(&mut controlling).await;
    tracing::info!("stopped");
    Ok(())
}

/// The node is this process's: at once, or by its predecessor's word. False when that never comes.
async fn settled(config: &NodeConfig, predecessor: Option<&Predecessor>) -> bool {
    let status = format!("serving on {:?}", config.proxy_addresses);
    let Some(predecessor) = predecessor else {
        supervisor::ready(&status);
        return true;
    };
    match predecessor.hand_over().await {
        Ok(()) => {
            supervisor::status(&status);
            true
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "not taking over");
            false
        }
    }
}

fn door(config: &NodeConfig) -> Option<Door> {
    Door::open(&config.data)
        .inspect_err(|error| tracing::warn!(%error, folder = %config.data.display(), "no upgrade can be asked for"))
        .ok()
}

/// Not ready first, then no new connections, then the end of those there are. A second signal ends
/// it at once. Once replaced there is nobody to be told, and the first signal may be the group's.
async fn drain(config: &NodeConfig, state: &NodeState, workers: Vec<WorkerHandle>, end: End, signals: &mut Signals) {
    state.enter(Phase::Draining);
    let delay = match end {
        End::Stopped => config.drain_delay,
        End::Replaced => Duration::ZERO,
    };
    tracing::info!(?delay, timeout = ?config.proxy.drain, "draining");
    if end == End::Stopped {
        supervisor::stopping("draining");
    }
    let ended = async {
        tokio::time::sleep(delay).await;
        for worker in &workers {
            worker.drain();
        }
        let _ = tokio::task::spawn_blocking(move || workers.into_iter().for_each(WorkerHandle::join)).await;
    };
    let impatient = async {
        if end == End::Replaced {
            signals.stop().await;
        }
        signals.stop().await;
    };
    tokio::select! {
        () = ended => {}
        () = impatient => tracing::warn!("second signal, not waiting any longer"),
    }
}

/// The control listeners have ended, or have had their time for it.
async fn ended(controlling: &mut Option<tokio::task::JoinHandle<()>>) {
    if let Some(task) = controlling.take() {
        let _ = tokio::time::timeout(CONTROL_PATIENCE, task).await;
    }
}

/// Drops counters that have run out.
async fn sweep(limiter: &Local) {
    loop {
        tokio::time::sleep(SWEEP).await;
        limiter.sweep();
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

const CONTROL_THREADS: usize = 2;
const SWEEP: Duration = Duration::from_secs(10);
const SINK_PATIENCE: Duration = Duration::from_secs(5);
const CONTROL_PATIENCE: Duration = Duration::from_secs(2);
