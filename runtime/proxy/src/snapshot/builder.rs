use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tollgate_keys::{Credentials, Pepper};
use tollgate_model::ConfigSet;
use tollgate_plugin_host::Prepared;

use super::Snapshot;
use super::plugins::Plugins;
use super::routes::Routes;
use super::services::{Reach, Services};
use crate::directory::{Census, ConsumerDirectory, People};
use crate::upstream::{Names, TlsClients};

/// Builds one snapshot after the other, reusing what did not change.
pub struct Builder {
    pepper: Arc<Pepper>,
    tls: TlsClients,
    names: Names,
    last: Arc<Snapshot>,
    /// Of earlier snapshots. Requests on their way may hold them; the last holder frees them, which takes long
    /// with many keys, and is not to be a worker.
    retired: Vec<Arc<People>>,
}

/// What a snapshot is to be made of.
pub(super) struct Wanted<'a> {
    pub(super) set: &'a Arc<ConfigSet>,
    pub(super) prepared: &'a Prepared,
    pub(super) last: &'a Snapshot,
    /// The new snapshot's.
    pub(super) number: u64,
}

impl Builder {
    /// `pepper` keys the hashes that credentials are found by; relative paths of the configuration
    /// start at `folder`; `name_ttl` is how long the address of a name is good for.
    pub fn new(pepper: Arc<Pepper>, folder: impl Into<PathBuf>, name_ttl: Duration) -> Builder {
        let (tls, names) = (TlsClients::new(folder.into()), Names::new(name_ttl));
        let last = Arc::new(Snapshot {
            number: 0,
            set: Arc::default(),
            directory: Arc::new(ConsumerDirectory::empty(Arc::clone(&pepper))),
            routes: Routes::none(),
            services: Services::default(),
            plugins: Plugins::default(),
        });
        Builder { pepper, tls, names, last, retired: Vec::new() }
    }

    /// Keys the hashes of API keys.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// The files of upstream TLS that the last snapshot was built by, or would have been.
    pub fn tls_files(&self) -> Vec<PathBuf> {
        self.tls.files().collect()
    }

    /// Whether one of them has changed since: another snapshot of the same set would differ.
    pub fn tls_files_changed(&self) -> bool {
        self.tls.have_changed()
    }

    pub fn build(
        &mut self,
        set: &Arc<ConfigSet>,
        credentials: &Arc<Credentials>,
        prepared: &Prepared,
    ) -> Arc<Snapshot> {
        let last = Arc::clone(&self.last);
        let wanted = Wanted { set, prepared, last: &last, number: last.number + 1 };
        let (plugins, altered) = last.plugins.next(&wanted);
        let reach = Reach { names: &self.names, tls: &mut self.tls };
        let (services, touched) = last.services.next(&wanted, &altered, reach);
        let routes = last.routes.next(&wanted, &altered, &services, &touched);
        let directory =
            last.directory.next(&last.set, &Census { set, credentials, prepared }, |plugin| altered.is_changed(plugin));
        let snapshot = Snapshot { number: wanted.number, set: Arc::clone(set), directory, routes, services, plugins };
        self.last = Arc::new(snapshot);
        self.retire(last);
        Arc::clone(&self.last)
    }

    /// Frees what earlier snapshots left and no request holds any more. True if something is still held: to be
    /// called again later.
    pub fn let_go(&mut self) -> bool {
        self.retired.retain(|people| Arc::strong_count(people) > 1);
        !self.retired.is_empty()
    }

    fn retire(&mut self, last: Arc<Snapshot>) {
        let people = last.directory.people();
        if !Arc::ptr_eq(people, self.last.directory.people()) {
            self.retired.push(Arc::clone(people));
        }
        drop(last);
        self.let_go();
    }
}
