//! What serves, and how it is replaced: the same wherever the configuration comes from.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tollgate_keys::Credentials;
use tollgate_model::ConfigSet;
use tollgate_plugin_host::{Host, Prepared};
use tollgate_proxy::{Builder, Certificates, HealthChecks, Snapshot, WorkerHandle};
use tollgate_store::Watched;

use crate::authorities::ClientAuthorities;
use crate::certificates::CertificateFiles;
use crate::config::{NO_CERTIFICATE, NodeConfig};
use crate::state::NodeState;

pub(super) struct Serving {
    pub(super) host: Arc<Host>,
    pub(super) builder: Builder,
    pub(super) state: Arc<NodeState>,
    certificates: CertificateFiles,
    /// Of client certificates.
    authorities: Option<ClientAuthorities>,
    listens_for_tls: bool,
    checks: HealthChecks,
    pub(super) applied: Applied,
}

#[derive(Default)]
pub(super) struct Applied {
    pub(super) set: Arc<ConfigSet>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) prepared: Prepared,
    pub(super) identity: Identity,
    pub(super) snapshot: Option<Arc<Snapshot>>,
}

/// Which state of its source something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Identity {
    /// None yet.
    #[default]
    Nothing,
    /// Of the file's bytes.
    Digest([u8; 32]),
    Revision(u64),
}

/// A state that can serve.
pub(super) struct Candidate {
    pub(super) set: Arc<ConfigSet>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) prepared: Prepared,
    pub(super) identity: Identity,
}

impl Serving {
    pub(super) fn new(
        config: &NodeConfig,
        host: Arc<Host>,
        builder: Builder,
        state: Arc<NodeState>,
        certificates: Arc<Certificates>,
        authorities: Option<ClientAuthorities>,
    ) -> Serving {
        let certificates = CertificateFiles::new(&config.base, certificates);
        let (checks, applied, listens_for_tls) = (HealthChecks::default(), Applied::default(), config.tls.is_some());
        Serving { host, builder, state, certificates, authorities, listens_for_tls, checks, applied }
    }

    /// Reads the plugins folder. True when a snapshot built now would differ.
    pub(super) async fn refresh_modules(&self) -> bool {
        self.host.refresh().await
    }

    pub(super) fn certificates_unsettled(&self) -> bool {
        self.certificates.is_unsettled()
    }

    /// Files of certificates, keys and authorities, of both sides.
    pub(super) fn tls_files(&self) -> Vec<Watched> {
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
    pub(super) fn refresh_certificates(&mut self) {
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

    /// New files of upstream TLS under the configuration that serves.
    pub(super) async fn apply_tls_files(&mut self, workers: &[WorkerHandle]) {
        if self.builder.tls_files_changed() {
            let candidate = self.same(self.applied.prepared.clone());
            self.apply(candidate, workers).await;
        }
    }

    /// What serves, with these uses.
    pub(super) fn same(&self, prepared: Prepared) -> Candidate {
        let Applied { set, credentials, identity, .. } = &self.applied;
        Candidate { set: Arc::clone(set), credentials: Arc::clone(credentials), prepared, identity: *identity }
    }

    pub(super) async fn apply(&mut self, candidate: Candidate, workers: &[WorkerHandle]) {
        // Held until all workers let go of it, so that it is freed here and not on a worker.
        let old = self.applied.snapshot.clone();
        let snapshot = self.build(candidate);
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
        let (routes, plugins) = (snapshot.set.routes.len(), snapshot.set.plugins.len());
        match self.applied.identity {
            // Of many a second nobody wants a line each.
            Identity::Revision(revision) => tracing::debug!(revision, routes, plugins, "configuration applied"),
            _ => tracing::info!(snapshot = snapshot.number, routes, plugins, "configuration applied"),
        }
    }

    pub(super) fn build(&mut self, candidate: Candidate) -> Arc<Snapshot> {
        let Candidate { set, credentials, prepared, identity } = candidate;
        let snapshot = self.builder.build(&set, &credentials, &prepared);
        let degraded = snapshot.degraded();
        self.tell_degraded(&degraded);
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
            identity,
            snapshot: Some(Arc::clone(&snapshot)),
        };
        // Before the workers are told: a host that is new has its certificate with its routes.
        self.refresh_certificates();
        self.checks.follow(&snapshot);
        let healths = snapshot.healths();
        let stale = snapshot.stale_tls().iter();
        let stale = stale.map(|(place, reason)| (place.clone(), format!("{reason}; the last good ones are used")));
        let stale = stale.collect();
        self.state.change(|serving| {
            serving.set = set;
            serving.prepared = prepared;
            serving.digest = match identity {
                Identity::Digest(digest) => Some(hex(&digest)),
                _ => None,
            };
            serving.revision = match identity {
                Identity::Revision(revision) => Some(revision),
                _ => None,
            };
            serving.loaded_at = Some(SystemTime::now());
            serving.generation += 1;
            serving.degraded = degraded;
            serving.stale = stale;
            serving.healths = healths;
        });
        snapshot
    }

    /// Of a file, each time; of a database, which changes often, what is new.
    fn tell_degraded(&self, degraded: &[(String, String)]) {
        let known = match self.applied.identity {
            Identity::Revision(_) => self.state.serving().degraded,
            _ => Vec::new(),
        };
        for (place, reason) in degraded.iter().filter(|found| !known.contains(found)).take(MOST_TOLD) {
            tracing::error!(place, reason, "can't be served on this node");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long a change waits until all workers serve by it.
const SWAP_PATIENCE: Duration = Duration::from_secs(10);
/// `/status` has the rest.
const MOST_TOLD: usize = 100;
