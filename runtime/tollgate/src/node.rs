//! Puts a node together and takes it through its life: start, serve, drain, end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tollgate_control::{AdminOptions, NodeView, serve_admin, serve_status};
use tollgate_keys::Pepper;
use tollgate_limits::Local;
use tollgate_plugin_host::Host;
use tollgate_proxy::{Builder, Certificates, Listener, TlsServer, WorkerHandle};
use tollgate_store::FileStore;

use crate::cmd::Invalid;
use crate::config::NodeConfig;
use crate::listeners::Listeners;
use crate::reconciler::Reconciler;
use crate::state::{NodeState, Phase};
use crate::view::View;

/// Runs until a signal says stop and what was accepted is served.
pub fn run(config: NodeConfig, addresses_file: Option<&Path>) -> anyhow::Result<()> {
    // Apart from the workers: nothing done here can hold up a request.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    runtime.block_on(live(config, addresses_file))
}

async fn live(config: NodeConfig, addresses_file: Option<&Path>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let listeners = Listeners::open(&config)?;
    let (addresses, tls_addresses) = (listeners.proxy_addresses().to_vec(), listeners.tls_addresses().to_vec());
    if let Some(file) = addresses_file {
        listeners.announce(file)?;
    }
    let state = Arc::new(NodeState::new());
    let limiter = Arc::new(Local::new());
    let host = Host::start(config.plugins.clone(), Arc::clone(&limiter))?;
    let store = FileStore::open(&config.store);
    let watch = Reconciler::watch(&store, &config.plugins.folder).context("files can't be watched")?;

    let view = Arc::new(View::new(&config, Arc::clone(&state), Arc::clone(&host), Arc::clone(&limiter)));
    let (stop, stopped) = watch::channel(false);
    let status = serve_status(listeners.status, Arc::clone(&view) as Arc<dyn NodeView>, told(stopped.clone()));
    let admin = serve_admin(listeners.admin, view, AdminOptions::default(), told(stopped));
    let control = tokio::spawn(async move {
        let (status, admin) = tokio::join!(status, admin);
        if let Err(error) = status.and(admin) {
            tracing::error!(%error, "the status or admin listener ended");
        }
    });

    let certificates = Arc::new(Certificates::default());
    let tls = match &config.tls {
        Some(tls) => Some(TlsServer::new(tls, Arc::clone(&certificates)).context("proxy.tls.client_ca_file")?),
        None => None,
    };
    let folder = config.store.parent().unwrap_or(Path::new("."));
    let builder = Builder::new(Pepper::random(), folder);
    let mut reconciler = Reconciler::new(store, Arc::clone(&host), builder, Arc::clone(&state), certificates);
    let first = reconciler.first().await.map_err(Invalid)?;
    let proxy = Arc::new(config.proxy.clone());
    let mut workers = Vec::new();
    for (index, (plain, secure)) in listeners.proxy.into_iter().zip(listeners.tls).enumerate() {
        let plain = plain.into_iter().map(|socket| Listener { socket, tls: None });
        let secure = secure.into_iter().map(|socket| Listener { socket, tls: tls.clone() });
        let listeners = plain.chain(secure).collect();
        let worker =
            tollgate_proxy::spawn(index, listeners, Arc::clone(&proxy), Arc::clone(&host), Arc::clone(&first))?;
        workers.push(worker);
    }
    drop(first);
    state.has_workers(workers.iter().map(|worker| Arc::clone(worker.metrics())).collect());
    state.enter(Phase::Serving);
    tracing::info!(
        node = config.name,
        version = env!("CARGO_PKG_VERSION"),
        ?addresses,
        ?tls_addresses,
        workers = workers.len(),
        "serving"
    );

    tokio::select! {
        () = reconciler.follow(watch, &workers) => {}
        () = sweep(&limiter) => {}
        () = signals.stop() => {}
    }
    drain(&config, &state, workers, &mut signals).await;
    tokio::task::spawn_blocking(move || host.flush_sinks(SINK_PATIENCE)).await?;
    stop.send_replace(true);
    let _ = tokio::time::timeout(CONTROL_PATIENCE, control).await;
    tracing::info!("stopped");
    Ok(())
}

/// Not ready first, then no new connections, then the end of those there are. A second signal ends
/// it at once.
async fn drain(config: &NodeConfig, state: &NodeState, workers: Vec<WorkerHandle>, signals: &mut Signals) {
    state.enter(Phase::Draining);
    tracing::info!(delay = ?config.drain_delay, timeout = ?config.proxy.drain, "draining");
    let ended = async {
        tokio::time::sleep(config.drain_delay).await;
        for worker in &workers {
            worker.drain();
        }
        let _ = tokio::task::spawn_blocking(move || workers.into_iter().for_each(WorkerHandle::join)).await;
    };
    tokio::select! {
        () = ended => {}
        () = signals.stop() => tracing::warn!("second signal, not waiting any longer"),
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

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

const CONTROL_THREADS: usize = 2;
const SWEEP: Duration = Duration::from_secs(10);
const SINK_PATIENCE: Duration = Duration::from_secs(5);
const CONTROL_PATIENCE: Duration = Duration::from_secs(2);
