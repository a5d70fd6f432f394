//! The modules of this node: what lies in the folder, and which generation of each serves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime};

use tollgate_model::Name;

use super::cache::CodeCache;
use super::compile::Compiler;
use super::describe::describe;
use super::{LogWindow, ModuleGeneration};
use crate::host::Host;

/// All modules ever seen in the folder since the start.
pub(crate) struct Library {
    modules: Mutex<BTreeMap<Name, Entry>>,
    compiler: Compiler,
}

#[derive(Default)]
struct Entry {
    /// What new snapshots are built with.
    current: Option<Arc<ModuleGeneration>>,
    /// Compiled and described, not yet accepted by all its uses.
    candidate: Option<Arc<ModuleGeneration>>,
    /// All generations, for counting those alive.
    known: Vec<Weak<ModuleGeneration>>,
    /// What was last looked at, so that one broken file is compiled once.
    seen: Option<blake3::Hash>,
    /// The file was there when the folder was last read.
    present: bool,
    last_error: Option<Failure>,
    loads: u64,
}

#[derive(Clone, Debug)]
struct Failure {
    message: String,
    at: SystemTime,
}

/// A generation to try for a module, and the one to fall back to.
pub(crate) struct Candidate {
    pub(crate) newest: Arc<ModuleGeneration>,
    pub(crate) serving: Option<Arc<ModuleGeneration>>,
}

/// One module, as shown to people.
#[derive(Clone, Debug)]
pub struct ModuleReport {
    pub name: String,
    pub state: ModuleState,
    /// Generation that serves.
    pub generation: Option<u64>,
    pub digest: Option<String>,
    pub size: Option<usize>,
    pub version: Option<String>,
    pub description: Option<String>,
    pub hooks: Vec<&'static str>,
    pub capabilities: Vec<&'static str>,
    pub loaded_at: Option<SystemTime>,
    /// Generations not yet freed, the serving one included.
    pub alive: usize,
    /// Generations loaded since the start.
    pub loads: u64,
    pub last_error: Option<(String, SystemTime)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// The file in the folder serves.
    Serving,
    /// The file in the folder is broken or refused; an older build serves.
    Stale,
    /// The file is gone; the build that was loaded from it serves.
    Removed,
    /// Nothing serves.
    Broken,
}

impl Library {
    pub(crate) fn start() -> std::io::Result<Library> {
        Ok(Library { modules: Mutex::default(), compiler: Compiler::start()? })
    }

    /// What new snapshots should be built with.
    pub(crate) fn candidate(&self, name: &Name) -> Result<Candidate, String> {
        let modules = self.lock();
        let entry = modules.get(name).ok_or_else(|| format!("module `{name}` is not in the plugins folder"))?;
        match (&entry.candidate, &entry.current) {
            (Some(newest), serving) => Ok(Candidate { newest: Arc::clone(newest), serving: serving.clone() }),
            (None, Some(current)) => Ok(Candidate { newest: Arc::clone(current), serving: None }),
            (None, None) => Err(match &entry.last_error {
                Some(failure) => format!("module `{name}` {}", failure.message),
                None => format!("module `{name}` is not in the plugins folder"),
            }),
        }
    }

    /// All uses accepted this generation: it serves from now on.
    pub(crate) fn promote(&self, name: &Name, generation: &Arc<ModuleGeneration>) {
        let mut modules = self.lock();
        let Some(entry) = modules.get_mut(name) else { return };
        if entry.candidate.as_ref().is_some_and(|candidate| Arc::ptr_eq(candidate, generation)) {
            entry.candidate = None;
            entry.current = Some(Arc::clone(generation));
            entry.last_error = None;
        }
    }

    /// Nobody uses these modules: no use can refuse their newest builds.
    pub(crate) fn promote_unused(&self, used: impl Fn(&Name) -> bool) {
        for (name, entry) in self.lock().iter_mut().filter(|(name, _)| !used(name)) {
            if let Some(candidate) = entry.candidate.take() {
                tracing::debug!(module = name.as_str(), "module loaded, no plugin uses it");
                entry.current = Some(candidate);
                entry.last_error = None;
            }
        }
    }

    /// A use refused this generation: the one that serves goes on.
    pub(crate) fn reject(&self, name: &Name, generation: &Arc<ModuleGeneration>, message: String) {
        let mut modules = self.lock();
        let Some(entry) = modules.get_mut(name) else { return };
        if entry.candidate.as_ref().is_some_and(|candidate| Arc::ptr_eq(candidate, generation)) {
            tracing::warn!(module = name.as_str(), digest = generation.digest(), "module refused: it {message}");
            entry.candidate = None;
            entry.last_error = Some(Failure { message, at: SystemTime::now() });
        }
    }

    pub(crate) fn report(&self) -> Vec<ModuleReport> {
        self.lock().iter_mut().map(|(name, entry)| entry.report(name)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Entry>> {
        self.modules.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Host {
    /// Reads the folder. True when a snapshot built now would differ from one built before. Called
    /// on hints and now and then; doing it too often costs time only.
    pub async fn refresh(&self) -> bool {
        let files = match modules_in(&self.config.folder) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(folder = %self.config.folder.display(), %error, "the plugins folder can't be read");
                return false;
            }
        };
        self.note_removed(&files);
        let mut changed = false;
        for (name, path) in files {
            changed |= self.refresh_module(&name, &path).await;
        }
        changed
    }

    fn note_removed(&self, files: &BTreeMap<Name, PathBuf>) {
        let mut modules = self.library.lock();
        for (name, entry) in modules.iter_mut().filter(|(name, _)| !files.contains_key(*name)) {
            if std::mem::take(&mut entry.present) {
                tracing::warn!(module = name.as_str(), "module file removed, the loaded build goes on serving");
                entry.seen = None;
            }
        }
    }

    async fn refresh_module(&self, name: &Name, path: &Path) -> bool {
        let read = read_settled(path, self.config.module_size).await;
        let (digest, outcome) = match read {
            Ok(None) => return false,
            Ok(Some(bytes)) => {
                let digest = blake3::hash(&bytes);
                if self.already_seen(name, &digest) {
                    return false;
                }
                (Some(digest), self.load(name, digest, bytes).await)
            }
            Err(message) => (None, Err(message)),
        };
        let mut modules = self.library.lock();
        let entry = modules.entry(name.clone()).or_default();
        entry.present = true;
        entry.seen = digest;
        match outcome {
            Ok(generation) => {
                tracing::info!(
                    module = name.as_str(),
                    generation = generation.number,
                    digest = generation.digest(),
                    version = generation.manifest.version,
                    "module loaded"
                );
                entry.known.retain(|known| known.strong_count() > 0);
                entry.known.push(Arc::downgrade(&generation));
                entry.loads += 1;
                entry.candidate = Some(generation);
                true
            }
            Err(message) => {
                if entry.last_error.as_ref().is_none_or(|last| last.message != message) {
                    tracing::error!(module = name.as_str(), "module not loaded: it {message}");
                }
                entry.last_error = Some(Failure { message, at: SystemTime::now() });
                // Without a build that serves, the reason shown for the routes is a new one.
                entry.current.is_none()
            }
        }
    }

    fn already_seen(&self, name: &Name, digest: &blake3::Hash) -> bool {
        let mut modules = self.library.lock();
        let entry = modules.entry(name.clone()).or_default();
        entry.present = true;
        entry.seen.as_ref() == Some(digest)
    }

    /// Compiles and describes one build, aside.
    async fn load(&self, name: &Name, digest: blake3::Hash, bytes: Vec<u8>) -> Result<Arc<ModuleGeneration>, String> {
        let size = bytes.len();
        let cache = CodeCache::new(&self.config.cache, &self.engine);
        let patience = self.config.compile_time;
        let component = self.library.compiler.component(&self.engine, &cache, digest, bytes, patience).await?;
        let manifest = describe(&self.engine, &component, &self.services, self.config.memory).await?;
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|error| format!("needs what this gateway does not offer: {error:#}"))?;
        let schema = jsonschema::validator_for(&manifest.settings_schema)
            .map_err(|error| format!("has a settings schema that is not valid: {error}"))?;
        Ok(Arc::new(ModuleGeneration {
            name: name.as_str().to_owned(),
            number: self.next_generation(),
            digest,
            size,
            manifest,
            memory: self.config.memory,
            pre,
            schema,
            loaded_at: SystemTime::now(),
            log_window: LogWindow::default(),
            fault_window: LogWindow::default(),
        }))
    }
}

impl Entry {
    fn report(&mut self, name: &Name) -> ModuleReport {
        self.known.retain(|known| known.strong_count() > 0);
        let state = match (&self.current, self.present, &self.last_error) {
            (Some(_), false, _) => ModuleState::Removed,
            (Some(_), true, Some(_)) => ModuleState::Stale,
            (Some(_), true, None) => ModuleState::Serving,
            (None, ..) => ModuleState::Broken,
        };
        let shown = self.current.as_ref();
        let manifest = shown.map(|generation| &generation.manifest);
        ModuleReport {
            name: name.as_str().to_owned(),
            state,
            generation: shown.map(|generation| generation.number),
            digest: shown.map(|generation| generation.digest()),
            size: shown.map(|generation| generation.size),
            version: manifest.map(|manifest| manifest.version.clone()),
            description: manifest.map(|manifest| manifest.description.clone()),
            hooks: manifest.map(|manifest| manifest.hooks.names()).unwrap_or_default(),
            capabilities: manifest.map(|manifest| manifest.capabilities.clone()).unwrap_or_default(),
            loaded_at: shown.map(|generation| generation.loaded_at),
            alive: self.known.len(),
            loads: self.loads,
            last_error: self.last_error.as_ref().map(|failure| (failure.message.clone(), failure.at)),
        }
    }
}

/// `<module>.wasm` of the folder. Other files, and names that could not be in a configuration, are
/// none of ours.
fn modules_in(folder: &Path) -> std::io::Result<BTreeMap<Name, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        match path.file_stem().and_then(|stem| stem.to_str()).map(Name::parse) {
            Some(Ok(name)) => {
                found.insert(name, path);
            }
            _ => tracing::debug!(path = %path.display(), "file name is no module name, ignored"),
        }
    }
    Ok(found)
}

/// The file's bytes once two looks at it agree: a copy in progress is not read half. `None` when
/// it went away meanwhile.
async fn read_settled(path: &Path, most: u64) -> Result<Option<Vec<u8>>, String> {
    let look = || {
        let about = std::fs::metadata(path).ok()?;
        Some((about.len(), about.modified().ok()?))
    };
    let Some(mut before) = look() else { return Ok(None) };
    loop {
        if before.0 > most {
            return Err(format!("has {} bytes, over the limit of {most}", before.0));
        }
        let Ok(bytes) = std::fs::read(path) else { return Ok(None) };
        // A file written a moment ago may still grow.
        let fresh = before.1.elapsed().is_ok_and(|age| age < SETTLE);
        if fresh {
            tokio::time::sleep(SETTLE).await;
        }
        let Some(after) = look() else { return Ok(None) };
        if after == before {
            return Ok(Some(bytes));
        }
        before = after;
    }
}

/// How long a file must have stayed the same.
const SETTLE: Duration = Duration::from_millis(20);
