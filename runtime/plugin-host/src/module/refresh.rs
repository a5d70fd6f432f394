//! Reads the plugins folder, and compiles what is new in it, aside.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tollgate_model::Name;
use wasmtime::{InstancePre, Module};

use super::cache::CodeCache;
use super::compile::Compiled;
use super::describe::describe;
use super::{LogWindow, Manifest, ModuleGeneration};
use crate::guest::Guest;
use crate::host::Host;

impl Host {
    /// Reads the folder. True when a snapshot built now would differ from one built before. Called
    /// on hints and now and then; doing it too often costs time only. New modules are compiled
    /// aside: what takes longer than a moment is announced by [`Host::module_ready`].
    pub async fn refresh(self: &Arc<Self>) -> bool {
        let loads = self.start_loads().await;
        // Nothing is lost: the loads go on, and the next call tells what they brought.
        let _ = tokio::time::timeout(PATIENCE, ended(loads)).await;
        self.library.take_news()
    }

    /// As [`Host::refresh`], but waits until all that is new is compiled, or is known not to be.
    pub async fn refresh_all(self: &Arc<Self>) -> bool {
        ended(self.start_loads().await).await;
        self.library.take_news()
    }

    /// Done when [`Host::refresh`] is worth calling though no file changed: a compilation ended, or
    /// something could not be tried and is worth another try. May be done for nothing; for one waiter.
    pub async fn module_ready(&self) {
        self.library.ready.notified().await;
    }

    async fn start_loads(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        let files = match modules_in(&self.config.folder) {
            Ok((files, nameless)) => {
                self.library.note_nameless(nameless);
                files
            }
            // A node that gets its modules from the cluster needs none.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.stored.has_offers() => BTreeMap::new(),
            Err(error) => {
                tracing::warn!(folder = %self.config.folder.display(), %error, "the plugins folder can't be read");
                BTreeMap::new()
            }
        };
        let (stored, lacking) = self.stored.beside(&files);
        let files: BTreeMap<_, _> = files.into_iter().chain(stored).collect();
        self.library.note_removed(|name| files.contains_key(name) || self.stored.is_offered(name));
        self.fetch(lacking);
        // All at once: one file that is being written keeps no other from being seen.
        let reads: Vec<_> =
            files.into_iter().map(|(name, path)| tokio::spawn(Arc::clone(self).start_load(name, path))).collect();
        let mut loads = Vec::new();
        for read in reads {
            loads.extend(read.await.ok().flatten());
        }
        loads
    }

    /// `None` when the file is as it was, is still being written, or can't be loaded at all.
    async fn start_load(self: Arc<Self>, name: Name, path: PathBuf) -> Option<JoinHandle<()>> {
        let bytes = match read_settled(&path, self.config.module_size, &self.library.reading).await {
            Ok(bytes) => bytes?,
            Err(message) => {
                self.library.look_at(&name, None);
                self.library.loaded(&name, None, Err(message));
                return None;
            }
        };
        let digest = blake3::hash(&bytes);
        if !self.library.look_at(&name, Some(digest)) {
            return None;
        }
        let load = tokio::spawn(Arc::clone(&self).load(name.clone(), digest, bytes));
        self.library.note_load(&name, load.abort_handle());
        Some(load)
    }

    /// Compiles and describes one build, aside, and puts it into the library. Over when it is known
    /// what became of it, or that this takes too long: it then goes on by itself.
    async fn load(self: Arc<Self>, name: Name, digest: blake3::Hash, bytes: Vec<u8>) {
        let (size, patience) = (bytes.len(), self.config.compile_time);
        let cache = CodeCache::new(&self.config.cache, &self.engine);
        match self.library.compiler.module(&self.engine, &cache, digest, bytes, patience).await {
            Compiled::Done(module) => self.loaded(&name, digest, size, module).await,
            Compiled::Late(late) => {
                self.library.loaded(&name, Some(digest), Err(format!("is not compiled after {patience:?}")));
                self.library.ready.notify_one();
                tokio::spawn(async move {
                    let module = late.outcome().await;
                    self.loaded(&name, digest, size, module).await;
                });
            }
        }
    }

    async fn loaded(&self, name: &Name, digest: blake3::Hash, size: usize, module: Result<Module, String>) {
        let outcome = match module {
            Ok(module) => self.generation(name, digest, size, &module).await,
            Err(message) => Err(message),
        };
        self.library.loaded(name, Some(digest), outcome);
        self.library.ready.notify_one();
    }

    async fn generation(
        &self,
        name: &Name,
        digest: blake3::Hash,
        size: usize,
        module: &Module,
    ) -> Result<Arc<ModuleGeneration>, String> {
        let manifest = self.described(module).await?;
        let pre = self.linked(module)?;
        let schema = validator(&manifest)?;
        Ok(Arc::new(ModuleGeneration {
            name: name.as_str().to_owned(),
            number: self.next_generation(),
            digest,
            size,
            manifest,
            memory: self.config.memory,
            share: self.library.share(name),
            faults: self.library.faults(name),
            pre,
            schema,
            loaded_at: SystemTime::now(),
            log_window: LogWindow::default(),
        }))
    }
}

impl Host {
    /// What it says of itself, and whether it can be used here at all.
    pub(crate) async fn described(&self, module: &Module) -> Result<Manifest, String> {
        let manifest = describe(&self.engine, module, &self.services, self.config.memory).await?;
        self.linked(module)?;
        validator(&manifest)?;
        Ok(manifest)
    }

    fn linked(&self, module: &Module) -> Result<InstancePre<Guest>, String> {
        let linked = self.linker.instantiate_pre(module);
        linked.map_err(|error| format!("needs what this gateway does not offer: {error:#}"))
    }
}

fn validator(manifest: &Manifest) -> Result<jsonschema::Validator, String> {
    jsonschema::validator_for(&manifest.settings_schema)
        .map_err(|error| format!("has a settings schema that is not valid: {error}"))
}

async fn ended(loads: Vec<JoinHandle<()>>) {
    for load in loads {
        // One that panicked or gave way to newer bytes brought nothing.
        let _ = load.await;
    }
}

/// `<module>.wasm` of the folder, and those whose names could not be in a configuration. Other files are none of ours.
fn modules_in(folder: &Path) -> std::io::Result<(BTreeMap<Name, PathBuf>, BTreeSet<PathBuf>)> {
    let (mut found, mut nameless) = (BTreeMap::new(), BTreeSet::new());
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        match path.file_stem().and_then(|stem| stem.to_str()).map(Name::parse) {
            Some(Ok(name)) => {
                found.insert(name, path);
            }
            _ => {
                nameless.insert(path);
            }
        }
    }
    Ok((found, nameless))
}

/// The file's bytes once two looks at it agree: a copy in progress is not read half. `None` when it
/// goes away meanwhile, or does not come to rest: what changes is looked at again. `turns` bounds how
/// many files are in memory because they are read.
async fn read_settled(path: &Path, most: u64, turns: &Semaphore) -> Result<Option<Vec<u8>>, String> {
    for _ in 0..TRIES {
        let (seen, bytes) = {
            let _turn = turns.acquire().await;
            let path = path.to_owned();
            let read = tokio::task::spawn_blocking(move || read(&path, most)).await;
            let Some(read) = read.ok().flatten() else { return Ok(None) };
            read
        };
        let Some(bytes) = bytes else {
            return Err(format!("has {} bytes, over the limit of {most}", seen.length));
        };
        // A file written a moment ago may still grow.
        if seen.modified.elapsed().is_ok_and(|age| age < SETTLE) {
            tokio::time::sleep(SETTLE).await;
        }
        if Look::at(path).as_ref() == Some(&seen) {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// What the file looks like, and its bytes if they are not too many. Blocks.
fn read(path: &Path, most: u64) -> Option<(Look, Option<Vec<u8>>)> {
    let look = Look::at(path)?;
    let bytes = if look.length > most { None } else { Some(std::fs::read(path).ok()?) };
    Some((look, bytes))
}

#[derive(PartialEq, Eq)]
struct Look {
    length: u64,
    modified: SystemTime,
    inode: u64,
}

impl Look {
    fn at(path: &Path) -> Option<Look> {
        let about = std::fs::metadata(path).ok()?;
        Some(Look { length: about.len(), modified: about.modified().ok()?, inode: about.ino() })
    }
}

/// How long a file must have stayed the same.
const SETTLE: Duration = Duration::from_millis(20);
/// Looks at a file that changes all the time, in one reading of the folder.
const TRIES: u32 = 5;
/// How long a reading of the folder waits for compilations, all together.
const PATIENCE: Duration = Duration::from_millis(200);
