//! The configuration in a database, as the feed knows it. What is stored is the truth: it was checked at the door,
//! and what of it can't be served here degrades by itself.

use std::sync::Arc;

use tokio::sync::watch;
use tollgate_control::configuration::{Feed, Known};
use tollgate_plugin_host::StoredModule;
use tollgate_proxy::WorkerHandle;

use super::serving::{Candidate, Identity, Serving};

pub struct Followed {
    feed: Feed,
    known: watch::Receiver<Arc<Known>>,
    /// What the plugin host was last told of the cluster's modules.
    modules: Option<Arc<Modules>>,
}

type Modules = std::collections::BTreeMap<String, tollgate_control::configuration::StoredModule>;

impl Followed {
    pub fn new(feed: Feed) -> Followed {
        let known = feed.subscribe();
        Followed { feed, known, modules: None }
    }

    pub(super) async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            // Nobody follows any more: the node ends.
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn first(&mut self, serving: &Serving) -> Candidate {
        let known = Arc::clone(&self.known.borrow_and_update());
        self.offer_modules(&known, serving);
        serving.host.refresh_all().await;
        self.candidate(&known, serving).await
    }

    pub(super) async fn reconcile(&mut self, modules_changed: bool, serving: &mut Serving, workers: &[WorkerHandle]) {
        let known = Arc::clone(&self.known.borrow_and_update());
        let modules_changed =
            modules_changed | (self.offer_modules(&known, serving) && serving.refresh_modules().await);
        let applied = &serving.applied;
        let same = Arc::ptr_eq(&known.set, &applied.set) && Arc::ptr_eq(&known.credentials, &applied.credentials);
        if same && !modules_changed {
            serving.applied.identity = Identity::Revision(known.revision.number);
            return serving.apply_tls_files(workers).await;
        }
        let candidate = self.candidate(&known, serving).await;
        serving.apply(candidate, workers).await;
    }

    /// Tells the cluster by which revision this node serves.
    pub(super) fn applied(&self, serving: &Serving) {
        if let Identity::Revision(revision) = serving.applied.identity {
            self.feed.applied(revision);
        }
    }

    async fn candidate(&self, known: &Known, serving: &Serving) -> Candidate {
        let prepared = serving.host.prepare_following(&known.set, &serving.applied.prepared).await;
        Candidate {
            set: Arc::clone(&known.set),
            credentials: Arc::clone(&known.credentials),
            prepared,
            identity: Identity::Revision(known.revision.number),
        }
    }

    /// True if the cluster has other modules than before.
    fn offer_modules(&mut self, known: &Known, serving: &Serving) -> bool {
        if self.modules.as_ref().is_some_and(|modules| Arc::ptr_eq(modules, &known.modules)) {
            return false;
        }
        self.modules = Some(Arc::clone(&known.modules));
        let stored = known.modules.iter().filter_map(|(name, module)| {
            Some(StoredModule { name: tollgate_model::Name::parse(name).ok()?, digest: module.digest.clone() })
        });
        serving.host.offer(stored.collect());
        true
    }
}
