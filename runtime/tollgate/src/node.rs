//! Puts a node together and takes it through its life: start, serve, be replaced or drain, end.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use tollgate_control::AdminOptions;
use tollgate_control::writer::Writer;
use tollgate_keys::Pepper;
use tollgate_limits::Local;
use tollgate_plugin_host::Host;
use tollgate_proxy::{Builder, Certificates, Listener, TlsServer, WorkerHandle};
use tollgate_store::Watch;

use crate::authorities::ClientAuthorities;
use crate::cluster::Membership;
use crate::cmd::Invalid;
use crate::config::NodeConfig;
use crate::control::Control;
use crate::descriptors;
use crate::inherited::Inherited;
use crate::listeners::{Addresses, Listeners};
use crate::modules::{Settings, StoredBytes};
use crate::reconciler::{FileSource, Followed, Reconciler, Source};
use crate::signals::Signals;
use crate::state::{NodeState, Phase};
use crate::supervisor;
use crate::upgrade::{self, Door, Launch, Predecessor, Upgrades};
use crate::view::{DatabaseView, View};

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
    let outcome = runtime.block_on(live(config, beginning));
    // Dropped, it would wait for the threads that wait for workers: after a second signal nobody does.
    runtime.shutdown_background();
    outcome
}

async fn live(config: NodeConfig, beginning: Beginning<'_>) -> anyhow::Result<()> {
    let Beginning { addresses_file, inherited, predecessor, launch } = beginning;
    let mut signals = Signals::listen()?;
    let limit = descriptors::raise();
    let listeners = listen(&config, inherited, predecessor)?;
    let (addresses, estate) = (listeners.addresses()?, listeners.estate()?);
    let (state, limiter) = (Arc::new(NodeState::new()), Arc::new(Local::new()));
    let host = Host::start(config.plugins.clone(), Arc::clone(&limiter))?;
    let view = Arc::new(View::new(&config, Arc::clone(&state), Arc::clone(&host), Arc::clone(&limiter)));
    let writer = Arc::new(OnceLock::new());
    let options = admin_options(&config, &writer);
    let mut control = Control::new(listeners.status, listeners.admin, Arc::clone(&view) as _, options);
    if predecessor.is_none() {
        // Probes see a node that starts. A successor leaves them to its predecessor until it serves.
        control.begin();
        addresses.announce(addresses_file)?;
    }

    let certificates = Arc::new(Certificates::default());
    let tls = tls_server(&config, &certificates)?;
    let membership = match config.store.database() {
        Some(database) => {
            let membership = Membership::open(&config, database, Arc::new(Settings(Arc::clone(&host)))).await?;
            host.has_source(StoredBytes::of(&membership.feed));
            let (feed, bus) = (membership.feed.clone(), membership.bus.clone());
            view.has_database(DatabaseView { feed, bus, max_stale: database.max_stale });
            Some(membership)
        }
        None => None,
    };
    let (mut reconciler, watch) = reconciler(&config, membership.as_ref(), &host, &state, certificates, tls.as_ref())?;
    let first = reconciler.first().await.map_err(Invalid)?;
    if predecessor.is_some() {
        // Before it accepts anything.
        upgrade::suffices(&state.lacking())?;
    }
    let proxy = Arc::new(descriptors::bounded(&config.proxy, limit));
    let doors = by_worker(listeners.proxy, listeners.tls, tls);
    let workers = tollgate_proxy::spawn(doors, proxy, Arc::clone(&host), first)?;
    let metrics: Vec<_> = workers.iter().map(|worker| Arc::clone(worker.metrics())).collect();
    state.has_workers(metrics.clone());
    // Who sees the node ready can ask it for an upgrade. A successor has to be given the node first.
    let opened = predecessor.is_none().then(|| door(&config));
    if let (Some(membership), None) = (&membership, predecessor) {
        membership.take_over(&writer).await?;
    }
    state.enter(Phase::Serving);
    if predecessor.is_some() {
        control.begin();
        addresses.announce(addresses_file)?;
    }
    tell_of(&config, &addresses, workers.len());

    let mut end = End::Stopped;
    if settled(&config, predecessor).await {
        let upgrades = Upgrades {
            launch: &launch,
            estate: &estate,
            state: &state,
            data: &config.data,
            door: opened.unwrap_or_else(|| door(&config)),
        };
        let upkeep = async {
            tokio::select! {
                () = reconciler.follow(watch, &workers) => {}
                () = sweep(&limiter) => {}
                () = supervisor::watchdog(metrics) => {}
                () = keep_up(membership.as_ref(), &writer) => {}
            }
        };
        end = served(upkeep, upgrades, predecessor, &mut signals).await;
    }
    // The last other holder of the sockets: from now on a socket that is not accepted from is closed.
    drop(estate);
    if end == End::Replaced {
        // Probes are the successor's from here on: from this process they would hear of a drain.
        control.end().await;
        membership.iter().for_each(Membership::let_go);
    }
    drain(&config, &state, workers, end, &mut signals).await;
    if let Some(membership) = &membership {
        membership.leave().await;
    }
    tokio::task::spawn_blocking(move || host.flush_sinks(SINK_PATIENCE)).await?;
    control.end().await;
    tracing::info!("stopped");
    Ok(())
}

fn admin_options(config: &NodeConfig, writer: &Arc<OnceLock<Writer>>) -> AdminOptions {
    AdminOptions {
        hosts: config.admin.hosts.clone(),
        public_url: config.admin.public_url.clone(),
        writer: config.store.database().map(|_| Arc::clone(writer)),
    }
}

/// Passed sockets first. One that nobody would accept from is an error, unless a predecessor drains it.
fn listen(
    config: &NodeConfig,
    mut inherited: Inherited,
    predecessor: Option<&Predecessor>,
) -> anyhow::Result<Listeners> {
    let listeners = Listeners::open(config, &mut inherited)?;
    match predecessor {
        Some(_) => inherited.left_over().for_each(|address| tracing::info!(%address, "no longer listened on")),
        None => inherited.refuse_left_over()?,
    }
    Ok(listeners)
}

fn tls_server(config: &NodeConfig, certificates: &Arc<Certificates>) -> anyhow::Result<Option<TlsServer>> {
    let server = config.tls.as_ref().map(|tls| TlsServer::new(tls, Arc::clone(certificates)));
    server.transpose().context("proxy.tls.client_ca_file")
}

/// With its hints. They are followed from now on: what changes while the first snapshot is built is not missed.
fn reconciler(
    config: &NodeConfig,
    membership: Option<&Membership>,
    host: &Arc<Host>,
    state: &Arc<NodeState>,
    certificates: Arc<Certificates>,
    tls: Option<&TlsServer>,
) -> anyhow::Result<(Reconciler, Watch)> {
    let watch = Reconciler::watch(config).context("files can't be watched")?;
    let (source, pepper) = match (membership, config.store.file()) {
        (Some(membership), _) => (Source::Database(Followed::new(membership.feed.clone())), membership.pepper()),
        (None, file) => {
            // Nothing that is hashed outlives the process.
            let (path, pepper) = (file.unwrap_or(Path::new("gateway.toml")), Arc::new(Pepper::random()));
            (Source::File(FileSource::new(path, config.plugins.folder.clone(), Arc::clone(&pepper))), pepper)
        }
    };
    let builder = Builder::new(pepper, &config.base, config.proxy.name_ttl);
    let authorities = config.client_ca_file.clone().zip(tls.cloned());
    let authorities = authorities.map(|(file, server)| ClientAuthorities::new(file, server));
    let reconciler =
        Reconciler::new(config, source, Arc::clone(host), builder, Arc::clone(state), certificates, authorities);
    Ok((reconciler, watch))
}

/// What each worker accepts from.
fn by_worker(
    plain: Vec<Vec<TcpListener>>,
    tls: Vec<Vec<TcpListener>>,
    server: Option<TlsServer>,
) -> Vec<Vec<Listener>> {
    let doors = |(plain, secure): (Vec<_>, Vec<_>)| {
        let plain = plain.into_iter().map(|socket| Listener { socket, tls: None });
        let secure = secure.into_iter().map(|socket| Listener { socket, tls: server.clone() });
        plain.chain(secure).collect()
    };
    plain.into_iter().zip(tls).map(doors).collect()
}

fn tell_of(config: &NodeConfig, addresses: &Addresses, workers: usize) {
    let (node, version) = (&config.name, env!("CARGO_PKG_VERSION"));
    let Addresses { proxy, tls, .. } = addresses;
    tracing::info!(node, version, addresses = ?proxy, tls_addresses = ?tls, workers, "serving");
}

/// Done when the node is to end, or is another process's.
async fn served(
    upkeep: impl Future<Output = ()>,
    upgrades: Upgrades<'_>,
    predecessor: Option<&Predecessor>,
    signals: &mut Signals,
) -> End {
    if let Some(predecessor) = predecessor {
        predecessor.taken().await;
    }
    tokio::select! {
        () = upkeep => End::Stopped,
        id = upgrades.replaced() => {
            tracing::info!(id, "replaced");
            End::Replaced
        }
        () = signals.stop() => End::Stopped,
    }
}

/// The node is this process's: at once, or by its predecessor's word. False when that never comes.
async fn settled(config: &NodeConfig, predecessor: Option<&Predecessor>) -> bool {
    let status = format!("serving on {:?}", [&config.proxy_addresses[..], &config.tls_addresses].concat());
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

/// Of a node without a database nobody hears.
async fn keep_up(membership: Option<&Membership>, admin: &OnceLock<Writer>) {
    match membership {
        Some(membership) => membership.keep_up(admin).await,
        None => std::future::pending().await,
    }
}

/// Drops counters that have run out.
async fn sweep(limiter: &Local) {
    loop {
        tokio::time::sleep(SWEEP).await;
        limiter.sweep();
    }
}

const CONTROL_THREADS: usize = 2;
const SWEEP: Duration = Duration::from_secs(10);
const SINK_PATIENCE: Duration = Duration::from_secs(5);
