//! Brings what serves in line with the configuration and the files: level-triggered, idempotent, everything built
//! before anything is swapped. Losing every hint costs latency only.

mod database;
mod file;
mod serving;

use std::sync::Arc;
use std::time::Duration;

use tollgate_plugin_host::Host;
use tollgate_proxy::{Builder, Certificates, Snapshot, WorkerHandle};
use tollgate_store::{ConfigReport, Watch, Watched};

use crate::authorities::ClientAuthorities;
use crate::config::NodeConfig;
use crate::state::NodeState;
pub use database::Followed;
pub use file::FileSource;
use serving::Serving;

pub struct Reconciler {
    source: Source,
    serving: Serving,
}

/// Where the configuration comes from.
pub enum Source {
    File(FileSource),
    Database(Followed),
}

impl Reconciler {
    /// `certificates`: what TLS clients are shown.
    pub fn new(
        config: &NodeConfig,
        source: Source,
        host: Arc<Host>,
        builder: Builder,
        state: Arc<NodeState>,
        certificates: Arc<Certificates>,
        authorities: Option<ClientAuthorities>,
    ) -> Reconciler {
        Reconciler { source, serving: Serving::new(config, host, builder, state, certificates, authorities) }
    }

    /// The first snapshot, or what is wrong with the configuration.
    pub async fn first(&mut self) -> Result<Arc<Snapshot>, ConfigReport> {
        let candidate = match &mut self.source {
            Source::File(source) => source.first(&self.serving).await?,
            Source::Database(source) => source.first(&self.serving).await,
        };
        let snapshot = self.serving.build(candidate);
        self.tell_applied();
        Ok(snapshot)
    }

    /// Follows the source and the files for ever.
    pub async fn follow(&mut self, mut watch: Watch, workers: &[WorkerHandle]) {
        let always = watch.watched().to_vec();
        loop {
            watch.follow(always.iter().cloned().chain(self.serving.tls_files()).collect());
            let pause = if self.serving.certificates_unsettled() { FILES_SETTLE } else { REGULARLY };
            let files = {
                let woken = woken(&mut self.source, &mut watch, &self.serving.host, pause);
                tokio::pin!(woken);
                loop {
                    tokio::select! {
                        files = &mut woken => break files,
                        // Requests on their way hold what is left of an earlier snapshot.
                        () = tokio::time::sleep(REQUESTS_END), if self.serving.builder.let_go() => {}
                    }
                }
            };
            self.reconcile(files, workers).await;
            self.serving.builder.let_go();
            self.serving.refresh_certificates();
        }
    }

    /// What to follow. Made before the first reading, so that no change falls between.
    pub fn watch(config: &NodeConfig) -> std::io::Result<Watch> {
        let folder = config.plugins.folder.clone();
        let modules = Watched::Folder { path: folder, extension: "wasm".to_owned() };
        let file = config.store.file().map(|path| Watched::File(path.to_owned()));
        Watch::new(file.into_iter().chain([modules]).collect())
    }

    /// One pass: reads what may have changed, builds what did change aside, swaps once.
    async fn reconcile(&mut self, files: bool, workers: &[WorkerHandle]) {
        let modules_changed = match files {
            true => self.serving.refresh_modules().await,
            false => false,
        };
        match &mut self.source {
            Source::File(source) => source.reconcile(modules_changed, &mut self.serving, workers).await,
            Source::Database(source) => source.reconcile(modules_changed, &mut self.serving, workers).await,
        }
        self.tell_applied();
    }

    fn tell_applied(&self) {
        if let Source::Database(source) = &self.source {
            source.applied(&self.serving);
        }
    }
}

/// Whether files are to be looked at.
async fn woken(source: &mut Source, watch: &mut Watch, host: &Host, pause: Duration) -> bool {
    tokio::select! {
        // A change of the cluster's configuration need not wait for a look at the files.
        biased;
        () = source.changed() => false,
        () = watch.changed() => true,
        // A build that took its time is compiled.
        () = host.module_ready() => true,
        // Certificates grow old without a change.
        () = tokio::time::sleep(pause) => true,
    }
}

impl Source {
    /// What it has is not what it had. A file is watched by others.
    async fn changed(&mut self) {
        match self {
            Source::File(_) => std::future::pending().await,
            Source::Database(source) => source.changed().await,
        }
    }
}

/// How long the two files of a certificate may not fit each other while they are replaced.
const FILES_SETTLE: Duration = Duration::from_millis(500);
/// How often it is looked whether requests have let go of what is left of earlier snapshots.
const REQUESTS_END: Duration = Duration::from_secs(5);
const REGULARLY: Duration = Duration::from_secs(3600);
