//! Modules that the cluster has: fetched by digest, kept beside the folder, and loaded like its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tollgate_model::Name;

use crate::host::Host;

/// A module of the cluster's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredModule {
    pub name: Name,
    /// BLAKE3 of its bytes, in hexadecimal digits.
    pub digest: String,
}

/// Where bytes of modules are asked for; whoever wires the node knows the database.
pub trait ModuleSource: Send + Sync + 'static {
    /// The bytes behind a digest, or why they can't be had now.
    fn fetch(&self, digest: String) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;
}

/// What the cluster has, and what of it is on this node's disk.
pub(crate) struct Stored {
    /// `<digest>.wasm`
    folder: PathBuf,
    source: OnceLock<Arc<dyn ModuleSource>>,
    offer: Mutex<Offer>,
}

#[derive(Default)]
struct Offer {
    modules: BTreeMap<Name, String>,
    /// Of them, those that a file of the plugins folder stands in front of.
    overridden: BTreeSet<Name>,
    /// By digest: fetches that failed, or are under way.
    fetches: BTreeMap<String, Fetch>,
}

struct Fetch {
    /// Not before.
    next: Instant,
    failures: u32,
}

impl Stored {
    pub(crate) fn new(data: &Path) -> Stored {
        Stored { folder: data.join("modules"), source: OnceLock::new(), offer: Mutex::default() }
    }

    /// The files of what is offered, those aside that `folder` has itself; what has no file yet comes second.
    pub(super) fn beside(&self, folder: &BTreeMap<Name, PathBuf>) -> (BTreeMap<Name, PathBuf>, Vec<StoredModule>) {
        let mut offer = self.offer();
        let (mut files, mut lacking) = (BTreeMap::new(), Vec::new());
        let mut overridden = BTreeSet::new();
        for (name, digest) in &offer.modules {
            if folder.contains_key(name) {
                overridden.insert(name.clone());
                continue;
            }
            let path = self.path(digest);
            match path.is_file() {
                true => drop(files.insert(name.clone(), path)),
                false => lacking.push(StoredModule { name: name.clone(), digest: digest.clone() }),
            }
        }
        offer.overridden = overridden;
        (files, lacking)
    }

    /// Whether the cluster's build of a module is loaded here, and which one a file stands in front of.
    pub(crate) fn stands(&self, name: &str) -> (bool, Option<String>) {
        let offer = self.offer();
        let Some(digest) = offer.modules.get(name) else { return (false, None) };
        match offer.overridden.contains(name) {
            true => (false, Some(digest.clone())),
            false => (true, None),
        }
    }

    pub(super) fn has_offers(&self) -> bool {
        !self.offer().modules.is_empty()
    }

    pub(super) fn is_offered(&self, name: &Name) -> bool {
        self.offer().modules.contains_key(name)
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(digest).with_added_extension("wasm")
    }

    /// True if it may be fetched now; it is under way from then on.
    fn begin(&self, digest: &str) -> bool {
        let mut offer = self.offer();
        let now = Instant::now();
        let fetch = offer.fetches.entry(digest.to_owned()).or_insert(Fetch { next: now, failures: 0 });
        let is_due = fetch.next <= now;
        if is_due {
            fetch.next = now + UNDER_WAY;
        }
        is_due
    }

    /// How long until the next try.
    fn failed(&self, digest: &str) -> Duration {
        let mut offer = self.offer();
        let Some(fetch) = offer.fetches.get_mut(digest) else { return FIRST_PAUSE };
        let pause = FIRST_PAUSE * 2u32.pow(fetch.failures.min(5));
        fetch.failures += 1;
        fetch.next = Instant::now() + pause;
        pause
    }

    fn fetched(&self, digest: &str) {
        self.offer().fetches.remove(digest);
    }

    /// Drops files of digests that are not offered any more.
    fn prune(&self) {
        let kept: BTreeSet<PathBuf> = self.offer().modules.values().map(|digest| self.path(digest)).collect();
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for file in files.filter(|file| !kept.contains(file)) {
            // It is looked at again with the next offer.
            let _ = std::fs::remove_file(file);
        }
    }

    fn offer(&self) -> MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    /// Where what is offered is fetched from. The first one stays.
    pub fn has_source(&self, source: Arc<dyn ModuleSource>) {
        let _ = self.stored.source.set(source);
    }

    /// What modules the cluster has, all of them. [`Host::refresh`] loads what is new; a module that has a file in the
    /// plugins folder is taken from there.
    pub fn offer(&self, modules: Vec<StoredModule>) {
        let modules = modules.into_iter().filter(|module| is_digest(&module.digest));
        self.stored.offer().modules = modules.map(|module| (module.name, module.digest)).collect();
        self.stored.prune();
    }

    /// Fetches what is not here yet, aside; [`Host::module_ready`] tells when it is.
    pub(crate) fn fetch(self: &Arc<Self>, lacking: Vec<StoredModule>) {
        for module in lacking {
            let Some(source) = self.stored.source.get().cloned() else { return };
            if self.stored.begin(&module.digest) {
                let host = Arc::clone(self);
                let name = module.name.clone();
                let fetching = tokio::spawn(async move { host.fetch_one(&*source, module).await });
                self.library.fetching(&name, fetching.abort_handle());
            }
        }
    }

    async fn fetch_one(self: Arc<Self>, source: &dyn ModuleSource, module: StoredModule) {
        let StoredModule { name, digest } = module;
        let fetched = source.fetch(digest.clone()).await.and_then(|bytes| self.keep(&digest, &bytes));
        match fetched {
            Ok(()) => self.stored.fetched(&digest),
            Err(message) => {
                let pause = self.stored.failed(&digest);
                self.library.not_fetched(&name, format!("can't be fetched from the cluster's store: {message}"));
                tokio::time::sleep(pause).await;
            }
        }
        self.library.ready.notify_one();
    }

    /// On disk, whole or not at all.
    fn keep(&self, digest: &str, bytes: &[u8]) -> Result<(), String> {
        if blake3::hash(bytes).to_hex().as_str() != digest {
            return Err("its bytes are not those of its digest".to_owned());
        }
        let path = self.stored.path(digest);
        let aside = path.with_added_extension("new");
        std::fs::create_dir_all(&self.stored.folder)
            .and_then(|()| std::fs::write(&aside, bytes))
            .and_then(|()| std::fs::rename(&aside, &path))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// It becomes the name of a file.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A fetch that does not end counts as lost.
const UNDER_WAY: Duration = Duration::from_secs(120);
