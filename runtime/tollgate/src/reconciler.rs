//! Brings what serves in line with the files: level-triggered, idempotent, everything built before
//! anything is swapped. Losing every hint costs latency only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tollgate_keys::Credentials;
use tollgate_model::{ConfigSet, Name};
use tollgate_plugin_host::{Host, Prepared, SettingsProblem};
use tollgate_proxy::{Builder, Certificates, HealthChecks, Snapshot, WorkerHandle};
use tollgate_store::{ConfigReport, FileStore, Loaded, Watch, Watched};

use crate::authorities::ClientAuthorities;
use crate::certificates::CertificateFiles;
use crate::config::{NO_CERTIFICATE, NodeConfig, environment};
use crate::credentials::credentials_of;
use crate::settings_report::{completed, missing_modules, settings_report, tell_refused};
use crate::settled::{self, Look};
use crate::state::NodeState;

pub struct Reconciler {
    store: FileStore,
    /// Where modules are.
    plugins: PathBuf,
    listens_for_tls: bool,
    /// Plugins whose modules are being compiled, which a new configuration has to wait for.
    waits_for: Option<String>,
    host: Arc<Host>,
    builder: Builder,
    state: Arc<NodeState>,
    certificates: CertificateFiles,
    /// Of client certificates.
    authorities: Option<ClientAuthorities>,
    checks: HealthChecks,
    applied: Applied,
    /// The file that was last read to its end.
    taken: Option<Look>,
}

/// What serves now.
#[derive(Default)]
struct Applied {
    set: Arc<ConfigSet>,
    credentials: Arc<Credentials>,
    prepared: Prepared,
    digest: Option<[u8; 32]>,
    snapshot: Option<Arc<Snapshot>>,
}

/// A state of the files that can serve.
struct Candidate {
    set: Arc<ConfigSet>,
    prepared: Prepared,
    digest: Option<[u8; 32]>,
}

/// Why a state of the files does not serve.
enum Unready {
    Refused(ConfigReport),
    /// These plugins' modules are being compiled.
    Waiting(String),
}

impl Reconciler {
    /// `certificates`: what TLS clients are shown.
    pub fn new(
        config: &NodeConfig,
        store: FileStore,
        host: Arc<Host>,
        builder: Builder,
        state: Arc<NodeState>,
        certificates: Arc<Certificates>,
        authorities: Option<ClientAuthorities>,
    ) -> Reconciler {
        let folder = store.path().parent().unwrap_or(std::path::Path::new("."));
        let certificates = CertificateFiles::new(folder, certificates);
        let (checks, applied) = (HealthChecks::default(), Applied::default());
        let (plugins, listens_for_tls) = (config.plugins.folder.clone(), config.tls.is_some());
        let taken = None;
        Reconciler {
            store,
            plugins,
            listens_for_tls,
            waits_for: None,
            host,
            builder,
            state,
            certificates,
            authorities,
            checks,
            applied,
            taken,
        }
    }

    /// The first snapshot, or what is wrong with the configuration.
    pub async fn first(&mut self) -> Result<Arc<Snapshot>, ConfigReport> {
        self.host.refresh_all().await;
        let loaded = loop {
            match self.read_settled().await {
                Some(Ok(loaded)) => break loaded,
                Some(Err(report)) => {
                    return Err(completed(report, &self.store, &self.host, &self.applied.prepared).await);
                }
                None => {}
            }
        };
        let Loaded { set, digest, document } = loaded;
        match self.host.prepare_first(&set).await {
            Ok(prepared) => {
                tell_refused(&document, &prepared);
                Ok(self.build(Candidate { set, prepared, digest: Some(digest) }))
            }
            Err(problems) => Err(settings_report(&document, &problems)),
        }
    }

    /// Follows the files for ever.
    pub async fn follow(&mut self, mut watch: Watch, workers: &[WorkerHandle]) {
        let always = watch.watched().to_vec();
        loop {
            watch.follow(always.iter().cloned().chain(self.tls_files()).collect());
            let pause = if self.certificates.is_unsettled() { FILES_SETTLE } else { REGULARLY };
            let woken = async {
                tokio::select! {
                    () = watch.changed() => {}
                    // A build that took its time is compiled.
                    () = self.host.module_ready() => {}
                    // Certificates grow old without a change.
                    () = tokio::time::sleep(pause) => {}
                }
            };
            tokio::pin!(woken);
            loop {
                tokio::select! {
                    () = &mut woken => break,
                    // Requests on their way hold what is left of an earlier snapshot.
                    () = tokio::time::sleep(REQUESTS_END), if self.builder.let_go() => {}
                }
            }
            self.reconcile(workers).await;
            self.refresh_certificates();
        }
    }

    /// Files of certificates, keys and authorities, of both sides.
    fn tls_files(&self) -> Vec<Watched> {
        let upstreams = self.builder.tls_files().into_iter().map(Watched::File);
        let clients = self.authorities.as_ref().map(ClientAuthorities::watched);
        let mut files: Vec<Watched> = self.certificates.watched();
        for file in upstreams.chain(clients) {
            // A certificate may be shown to both sides.
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }

    /// What TLS clients are shown: of the set that serves. And whose clients' certificates are taken.
    fn refresh_certificates(&mut self) {
        if let Some(authorities) = &mut self.authorities
            && authorities.refresh()
        {
            let problem = authorities.problem().map(str::to_owned);
            self.state.change(|serving| serving.client_ca_problem = problem);
        }
        if let Some(reports) = self.certificates.refresh(&self.applied.set) {
            self.state.change(|serving| serving.certificates = reports);
        }
    }

    /// What to follow. Made before the first reading, so that no change falls between.
    pub fn watch(store: &FileStore, folder: &std::path::Path) -> std::io::Result<Watch> {
        let file = Watched::File(store.path().to_owned());
        let modules = Watched::Folder { path: folder.to_owned(), extension: "wasm".to_owned() };
        Watch::new(vec![file, modules])
    }

    /// One pass: reads everything, builds what changed aside, swaps once.
    pub async fn reconcile(&mut self, workers: &[WorkerHandle]) {
        let modules_changed = self.host.refresh().await;
        match self.read_settled().await {
            None => tracing::warn!("the configuration is being written all the time, the last good one serves"),
            Some(Ok(loaded)) if Some(loaded.digest) != self.applied.digest || modules_changed => {
                match self.prepared(loaded).await {
                    Ok(candidate) => return self.apply(candidate, workers).await,
                    Err(Unready::Refused(report)) => self.refuse(&report),
                    Err(Unready::Waiting(plugins)) => self.wait_for(plugins),
                }
            }
            Some(Ok(_)) => {
                // The file is what serves: whatever was wrong with it is mended.
                self.state.change(|serving| {
                    if serving.last_error.take().is_some() {
                        tracing::info!("the configuration is again what serves");
                    }
                });
                return self.apply_tls_files(workers).await;
            }
            Some(Err(report)) => {
                self.refuse(&completed(report, &self.store, &self.host, &self.applied.prepared).await);
            }
        }
        if modules_changed {
            self.apply_modules(workers).await;
        } else {
            self.apply_tls_files(workers).await;
        }
    }

    /// New files of upstream TLS under the configuration that serves.
    async fn apply_tls_files(&mut self, workers: &[WorkerHandle]) {
        if self.builder.tls_files_changed() {
            let Applied { set, prepared, digest, .. } = &self.applied;
            let candidate = Candidate { set: Arc::clone(set), prepared: prepared.clone(), digest: *digest };
            self.apply(candidate, workers).await;
        }
    }

    /// New modules under the configuration that serves: a broken file must not hold them up.
    async fn apply_modules(&mut self, workers: &[WorkerHandle]) {
        let (set, digest) = (Arc::clone(&self.applied.set), self.applied.digest);
        match self.host.prepare(&set, &self.applied.prepared).await {
            Ok(prepared) => self.apply(Candidate { set, prepared, digest }, workers).await,
            Err(unprepared) => {
                tracing::error!(count = unprepared.problems.len(), "modules refused by the configuration that serves")
            }
        }
    }

    async fn apply(&mut self, candidate: Candidate, workers: &[WorkerHandle]) {
        let mended = candidate.digest != self.applied.digest;
        // Held until all workers let go of it, so that it is freed here and not on a worker.
        let old = self.applied.snapshot.clone();
        let snapshot = self.build(candidate);
        self.waits_for = None;
        if mended {
            self.state.change(|serving| serving.last_error = None);
        }
        let swaps: Vec<_> = workers.iter().map(|worker| worker.swap(Arc::clone(&snapshot))).collect();
        let taken = tokio::spawn(async move {
            for swapped in swaps {
                // A worker that has ended serves nothing.
                let _ = swapped.await;
            }
            drop(old);
        });
        // A worker that hangs must not keep the others from what comes next.
        if tokio::time::timeout(SWAP_PATIENCE, taken).await.is_err() {
            tracing::error!(snapshot = snapshot.number, "a worker does not take the new configuration");
        }
        self.builder.let_go();
        let (routes, plugins) = (snapshot.set.routes.len(), snapshot.set.plugins.len());
        tracing::info!(snapshot = snapshot.number, routes, plugins, "configuration applied");
    }

    fn build(&mut self, candidate: Candidate) -> Arc<Snapshot> {
        let Candidate { set, prepared, digest } = candidate;
        let before = Some((&*self.applied.set, &self.applied.credentials));
        let credentials = credentials_of(&set, self.builder.pepper(), before);
        let snapshot = self.builder.build(&set, &credentials, &prepared);
        let degraded = snapshot.degraded();
        for (place, reason) in &degraded {
            tracing::error!(place, reason, "can't be served on this node");
        }
        if self.listens_for_tls && set.certificates.is_empty() {
            tracing::warn!(place = "proxy.tls", reason = NO_CERTIFICATE, "TLS clients can't be served");
        }
        for (place, reason) in snapshot.stale_tls() {
            tracing::error!(place, reason, "TLS files can't be used, the last good ones are");
        }
        self.applied = Applied {
            set: Arc::clone(&set),
            credentials,
            prepared: prepared.clone(),
            digest,
            snapshot: Some(Arc::clone(&snapshot)),
        };
        // Before the workers are told: a host that is new has its certificate with its routes.
        self.refresh_certificates();
        self.checks.follow(&snapshot);
        let healths = snapshot.healths();
        let stale = snapshot.stale_tls().iter();
        let stale = stale.map(|(place, reason)| (place.clone(), format!("{reason}; the last good files are used")));
        let stale = stale.collect();
        self.state.change(|serving| {
            serving.set = set;
            serving.prepared = prepared;
            serving.digest = digest.map(|digest| hex(&digest));
            serving.loaded_at = Some(SystemTime::now());
            serving.generation += 1;
            serving.degraded = degraded;
            serving.stale = stale;
            serving.healths = healths;
        });
        snapshot
    }

    /// Whatever was wrong with an older state of the file is of the past.
    fn wait_for(&mut self, plugins: String) {
        self.state.change(|serving| serving.last_error = None);
        if self.waits_for.as_ref() != Some(&plugins) {
            tracing::info!(plugins, "the configuration is applied once their modules are compiled");
            self.waits_for = Some(plugins);
        }
    }

    fn refuse(&self, report: &ConfigReport) {
        let message = report.render_plain();
        self.state.change(|serving| {
            let known = serving.last_error.as_ref().is_some_and(|(last, _)| *last == message);
            if !known {
                tracing::error!(
                    problems = report.findings().len(),
                    "configuration refused, the last good one serves\n{message}"
                );
                serving.refused += 1;
                serving.last_error = Some((message, SystemTime::now()));
            }
        });
    }

    async fn prepared(&self, loaded: Loaded) -> Result<Candidate, Unready> {
        let Loaded { set, digest, document } = loaded;
        if Some(digest) != self.applied.digest {
            let missing = self.harmful(&set, missing_modules(&self.host, &set, &self.plugins));
            if !missing.is_empty() {
                return Err(Unready::Refused(settings_report(&document, &missing)));
            }
        }
        match self.host.prepare(&set, &self.applied.prepared).await {
            Ok(prepared) => {
                tell_refused(&document, &prepared);
                Ok(Candidate { set, prepared, digest: Some(digest) })
            }
            Err(unprepared) if unprepared.waiting => {
                let plugins: Vec<_> = unprepared.problems.iter().map(|problem| problem.plugin.as_str()).collect();
                Err(Unready::Waiting(plugins.join(", ")))
            }
            Err(unprepared) => Err(Unready::Refused(settings_report(&document, &unprepared.problems))),
        }
    }

    /// Those of the problems that would degrade what serves now.
    fn harmful(&self, set: &ConfigSet, problems: Vec<SettingsProblem>) -> Vec<SettingsProblem> {
        let Some(snapshot) = &self.applied.snapshot else { return Vec::new() };
        let degraded: Vec<String> = snapshot.degraded().into_iter().map(|(place, _)| place).collect();
        let serves = |place: String| !degraded.contains(&place);
        let serving_route = |name: &Name| snapshot.set.routes.contains_key(name) && serves(format!("route {name}"));
        let serving_consumer =
            |name: &Name| snapshot.set.consumers.contains_key(name) && serves(format!("consumer {name}"));
        let harms = |problem: &SettingsProblem| {
            let plugin = &problem.plugin;
            let routes = set.routes.values().filter(|route| serving_route(&route.name));
            let mut chains = routes.map(|route| set.route_chain(route));
            let mut consumers = set.consumers.values().filter(|consumer| serving_consumer(&consumer.name));
            chains.any(|chain| chain.links.iter().any(|link| link.plugin.name == *plugin))
                || consumers.any(|consumer| consumer.chain.iter().any(|entry| entry.plugin == *plugin))
        };
        problems.into_iter().filter(harms).collect()
    }

    /// The file once it rests: a beginning of it may be valid, and lack what protects a route. `None`
    /// when it does not come to rest; it is looked at again.
    async fn read_settled(&mut self) -> Option<Result<Loaded, ConfigReport>> {
        let read = || self.store.read(Some(&self.applied.set), environment);
        settled::read(self.store.path(), &mut self.taken, read).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long a change waits until all workers serve by it.
const SWAP_PATIENCE: Duration = Duration::from_secs(10);
/// How long the two files of a certificate may not fit each other while they are replaced.
const FILES_SETTLE: Duration = Duration::from_millis(500);
/// How often it is looked whether requests have let go of what is left of earlier snapshots.
const REQUESTS_END: Duration = Duration::from_secs(5);
const REGULARLY: Duration = Duration::from_secs(3600);
