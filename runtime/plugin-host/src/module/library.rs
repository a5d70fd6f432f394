//! The modules of this node: what lies in the folder, and which generation of each serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tollgate_model::Name;
use tollgate_model::decode::closest;
use tollgate_model::entity::Plugin;
use tollgate_model::name::InvalidName;
use tollgate_model::problem::Complaint;

use super::compile::Compiler;
use super::{Faults, ModuleGeneration};
use crate::error::HookErrorKind;
use crate::share::{Instances, Share};

/// The modules that lie in the folder, or were ever loaded from it.
pub(crate) struct Library {
    modules: Mutex<BTreeMap<Name, Entry>>,
    pub(super) compiler: Compiler,
    /// Told when a compilation ended, and when a try is worth repeating.
    pub(super) ready: Arc<Notify>,
    instances: Arc<Instances>,
    /// Turns for reading files.
    pub(super) reading: Semaphore,
    /// Files in the folder that no module can be named after.
    nameless: Mutex<BTreeSet<PathBuf>>,
}

#[derive(Default)]
struct Entry {
    /// What new snapshots are built with.
    current: Option<Arc<ModuleGeneration>>,
    /// Compiled and described, not yet accepted by all its uses.
    candidate: Option<Arc<ModuleGeneration>>,
    /// Uses that refused the candidate: it is tried again under others.
    refused_by: Option<Vec<Arc<Plugin>>>,
    /// How often the candidate could not be tried.
    tries: u32,
    /// Compiles what lies in the folder.
    loading: Option<AbortHandle>,
    /// The reason shown for a module without a build changed since [`Library::take_news`].
    news: bool,
    /// All generations, for counting those alive.
    known: Vec<Weak<ModuleGeneration>>,
    /// What was last looked at, so that one file is compiled once.
    seen: Option<blake3::Hash>,
    /// The file was there when the folder was last read.
    present: bool,
    last_error: Option<Failure>,
    loads: u64,
    /// Shared by its generations.
    share: Option<Arc<Share>>,
    /// As well.
    faults: Arc<Faults>,
}

#[derive(Clone, Debug)]
struct Failure {
    message: String,
    at: SystemTime,
}

impl Failure {
    fn now(message: String) -> Failure {
        Failure { message, at: SystemTime::now() }
    }
}

/// A generation to try for a module, and the one to fall back to.
pub(crate) struct Candidate {
    pub(crate) newest: Arc<ModuleGeneration>,
    pub(crate) serving: Option<Arc<ModuleGeneration>>,
}

/// Why there is nothing to try.
pub(crate) enum Unavailable {
    /// The first build is being compiled.
    Loading(String),
    Missing(String),
}

/// What the uses of a module made of a generation.
pub(crate) enum Verdict {
    Accepted,
    Refused {
        uses: Vec<Arc<Plugin>>,
        message: String,
    },
    /// The node had no instance or no time to ask.
    Untried {
        uses: Vec<Arc<Plugin>>,
        message: String,
    },
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
    /// It is the cluster's, and not a file of the folder.
    pub from_cluster: bool,
    /// The digest of the cluster's build, in front of which a file of the folder stands.
    pub overrides: Option<String>,
    pub last_error: Option<(String, SystemTime)>,
    /// Hooks that failed since the start.
    pub faults: Vec<(HookErrorKind, u64)>,
    /// The last of which the log tells.
    pub last_fault: Option<(String, SystemTime)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// The file in the folder serves.
    Serving,
    /// The file in the folder is broken or refused; an older build serves.
    Stale,
    /// The file is gone; the build that was loaded from it serves.
    Removed,
    /// Nothing serves yet: the first build is being compiled.
    Loading,
    /// Nothing serves.
    Broken,
}

impl Library {
    /// `instances`: of all modules together.
    pub(crate) fn start(instances: u32) -> std::io::Result<Library> {
        let (compiler, instances) = (Compiler::start()?, Instances::new(instances));
        Ok(Library {
            modules: Mutex::default(),
            compiler,
            ready: Arc::default(),
            instances,
            reading: Semaphore::new(READERS),
            nameless: Mutex::default(),
        })
    }

    /// What a snapshot in which these are the module's uses should be built with.
    pub(crate) fn candidate(&self, name: &Name, uses: &[&Arc<Plugin>]) -> Result<Candidate, Unavailable> {
        let modules = self.lock();
        let missing = || {
            let Complaint { message, hint } = not_found(&modules, name);
            hint.map_or(message.clone(), |hint| format!("{message} ({hint})"))
        };
        let entry = modules.get(name).ok_or_else(|| Unavailable::Missing(missing()))?;
        match (&entry.candidate, &entry.current) {
            (Some(newest), serving) if serving.is_none() || !entry.is_refused_by(uses) => {
                Ok(Candidate { newest: Arc::clone(newest), serving: serving.clone() })
            }
            (_, Some(current)) => Ok(Candidate { newest: Arc::clone(current), serving: None }),
            (_, None) if entry.is_loading() => {
                Err(Unavailable::Loading(format!("module `{name}` is still being compiled")))
            }
            (_, None) => Err(Unavailable::Missing(match &entry.last_error {
                Some(failure) => format!("module `{name}` {}", failure.message),
                None => missing(),
            })),
        }
    }

    /// Neither in the folder nor ever loaded from it.
    pub(crate) fn is_missing(&self, name: &Name) -> bool {
        self.lock().get(name).is_none_or(|entry| !entry.present && !entry.has_build())
    }

    /// What to say of a module that is missing.
    pub(crate) fn not_found(&self, name: &Name) -> Complaint {
        not_found(&self.lock(), name)
    }

    /// A whole configuration was accepted: what its modules' uses said of the candidates counts.
    pub(crate) fn settle(&self, verdicts: impl IntoIterator<Item = (Name, Arc<ModuleGeneration>, Verdict)>) {
        let mut modules = self.lock();
        for (name, generation, verdict) in verdicts {
            let Some(entry) = modules.get_mut(&name) else { continue };
            match verdict {
                Verdict::Accepted => entry.promote(generation),
                // A newer one was loaded meanwhile, and nobody asked about that.
                _ if !entry.has_candidate(&generation) => {}
                Verdict::Refused { uses, message } => {
                    let outlook = match &entry.current {
                        Some(_) => "; the build before goes on serving, after a restart its routes would be degraded",
                        None => "",
                    };
                    tracing::warn!(module = name.as_str(), "module refused: it {message}{outlook}");
                    entry.refused_by = Some(uses);
                    entry.last_error = Some(Failure::now(message));
                }
                Verdict::Untried { uses, message } => {
                    tracing::warn!(module = name.as_str(), "module could not be tried: it {message}");
                    entry.last_error = Some(Failure::now(message));
                    entry.tries += 1;
                    // One that hangs each time must not be asked for ever.
                    match entry.tries < TRIES {
                        true => self.try_again_soon(),
                        false => entry.refused_by = Some(uses),
                    }
                }
            }
        }
    }

    /// Nobody uses these modules: no use can refuse their newest builds.
    pub(crate) fn promote_unused(&self, used: impl Fn(&Name) -> bool) {
        for (name, entry) in self.lock().iter_mut().filter(|(name, _)| !used(name)) {
            if let Some(candidate) = entry.candidate.clone() {
                tracing::debug!(module = name.as_str(), "module loaded, no plugin uses it");
                entry.promote(candidate);
            }
        }
    }

    /// A snapshot built now would differ from one built before. Told once, but for candidates:
    /// those are news until they are settled.
    pub(super) fn take_news(&self) -> bool {
        self.lock().values_mut().fold(false, |news, entry| {
            std::mem::take(&mut entry.news) | (entry.candidate.is_some() && entry.refused_by.is_none()) | news
        })
    }

    /// What could not be tried for want of an instance or of time is worth another try soon.
    pub(crate) fn try_again_soon(&self) {
        let ready = Arc::clone(&self.ready);
        tokio::spawn(async move {
            tokio::time::sleep(RETRY).await;
            ready.notify_one();
        });
    }

    /// These files can't be loaded under their names. Said once of each.
    pub(super) fn note_nameless(&self, found: BTreeSet<PathBuf>) {
        let mut known = self.nameless.lock().unwrap_or_else(PoisonError::into_inner);
        for path in found.difference(&known) {
            tracing::warn!(file = %path.display(), "module not loaded, rename its file: {InvalidName}");
        }
        *known = found;
    }

    /// Keeps in mind which files are there. Of a module that could never be loaded nothing is left.
    pub(super) fn note_removed(&self, is_there: impl Fn(&Name) -> bool) {
        self.lock().retain(|name, entry| {
            if is_there(name) {
                return true;
            }
            let was_there = std::mem::take(&mut entry.present);
            entry.seen = None;
            if entry.refused_by.is_none() {
                entry.last_error = None;
            }
            let outlook = if entry.current.is_some() { ", the loaded build goes on serving" } else { "" };
            if was_there {
                tracing::warn!(module = name.as_str(), "module file removed{outlook}");
            }
            if !entry.has_build() {
                entry.loading.iter().for_each(AbortHandle::abort);
            }
            entry.has_build()
        });
    }

    /// True when these bytes (`None`: none that can be loaded) were not the last ones looked at;
    /// they are from now on.
    pub(super) fn look_at(&self, name: &Name, digest: Option<blake3::Hash>) -> bool {
        let mut modules = self.lock();
        let entry = modules.entry(name.clone()).or_default();
        entry.present = true;
        let before = std::mem::replace(&mut entry.seen, digest);
        before != digest
    }

    /// `task` loads what was last looked at. One that loads older bytes need not go on.
    pub(super) fn note_load(&self, name: &Name, task: AbortHandle) {
        if let Some(entry) = self.lock().get_mut(name)
            && let Some(older) = entry.loading.replace(task)
        {
            older.abort();
        }
    }

    /// Its first bytes are on their way.
    pub(super) fn fetching(&self, name: &Name, task: AbortHandle) {
        let mut modules = self.lock();
        let entry = modules.entry(name.clone()).or_default();
        entry.present = true;
        entry.loading = Some(task);
    }

    /// The bytes can't be had now. Said once.
    pub(super) fn not_fetched(&self, name: &Name, message: String) {
        let mut modules = self.lock();
        let Some(entry) = modules.get_mut(name) else { return };
        if entry.last_error.as_ref().is_none_or(|last| last.message != message) {
            tracing::error!(module = name.as_str(), "module not loaded: it {message}");
            entry.news |= entry.current.is_none();
            entry.last_error = Some(Failure::now(message));
        }
    }

    /// There is something to ask.
    pub(crate) fn has_build(&self, name: &Name) -> bool {
        self.lock().get(name).is_some_and(Entry::has_build)
    }

    /// What became of these bytes. Nothing, if others were looked at since.
    pub(super) fn loaded(
        &self,
        name: &Name,
        digest: Option<blake3::Hash>,
        outcome: Result<Arc<ModuleGeneration>, String>,
    ) {
        let mut modules = self.lock();
        let Some(entry) = modules.get_mut(name).filter(|entry| entry.seen == digest) else { return };
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
                entry.refused_by = None;
                entry.tries = 0;
            }
            Err(message) => {
                // What the folder had before is of the past.
                entry.candidate = None;
                let is_known = entry.last_error.as_ref().is_some_and(|last| last.message == message);
                // A file that is not even read is found again and again.
                if digest.is_some() || !is_known {
                    let outlook = if entry.current.is_some() { "; the build before goes on serving" } else { "" };
                    tracing::error!(module = name.as_str(), "module not loaded: it {message}{outlook}");
                    entry.news |= entry.current.is_none();
                    entry.last_error = Some(Failure::now(message));
                }
            }
        }
    }

    /// The module's part of all instances.
    pub(super) fn share(&self, name: &Name) -> Arc<Share> {
        let mut modules = self.lock();
        let share = &mut modules.entry(name.clone()).or_default().share;
        Arc::clone(share.get_or_insert_with(|| self.instances.share()))
    }

    /// What went wrong in the module's hooks.
    pub(super) fn faults(&self, name: &Name) -> Arc<Faults> {
        Arc::clone(&self.lock().entry(name.clone()).or_default().faults)
    }

    pub(crate) fn report(&self) -> Vec<ModuleReport> {
        self.lock().iter_mut().map(|(name, entry)| entry.report(name)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Entry>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn promote(&mut self, generation: Arc<ModuleGeneration>) {
        if self.has_candidate(&generation) {
            self.candidate = None;
            self.refused_by = None;
            self.last_error = None;
        }
        // It serves even if a newer one was loaded meanwhile.
        self.current = Some(generation);
    }

    fn has_build(&self) -> bool {
        self.current.is_some() || self.candidate.is_some()
    }

    fn has_candidate(&self, generation: &Arc<ModuleGeneration>) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| Arc::ptr_eq(candidate, generation))
    }

    fn is_refused_by(&self, uses: &[&Arc<Plugin>]) -> bool {
        self.refused_by.as_ref().is_some_and(|refusing| refusing.iter().eq(uses.iter().copied()))
    }

    /// The build is compiled, and it is about to be told what it is to serve.
    fn is_untried(&self) -> bool {
        self.candidate.is_some() && self.refused_by.is_none() && self.last_error.is_none()
    }

    fn is_loading(&self) -> bool {
        self.loading.as_ref().is_some_and(|task| !task.is_finished())
    }

    fn report(&mut self, name: &Name) -> ModuleReport {
        self.known.retain(|known| known.strong_count() > 0);
        let state = match (&self.current, self.present, &self.last_error) {
            (Some(_), false, _) => ModuleState::Removed,
            (Some(_), true, Some(_)) => ModuleState::Stale,
            (Some(_), true, None) => ModuleState::Serving,
            (None, ..) if self.is_loading() || self.is_untried() => ModuleState::Loading,
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
            from_cluster: false,
            overrides: None,
            last_error: self.last_error.as_ref().map(|failure| (failure.message.clone(), failure.at)),
            faults: self.faults.counts(),
            last_fault: self.faults.last(),
        }
    }
}

/// With the name of the module that was meant, if there is one like it.
fn not_found(modules: &BTreeMap<Name, Entry>, name: &Name) -> Complaint {
    let message = format!("module `{name}` is not in the plugins folder");
    match closest(name.as_str(), modules.keys().filter(|known| *known != name).map(Name::as_str)) {
        Some(near) => Complaint::new(message, format!("did you mean `{near}`?")),
        None => Complaint::from(message),
    }
}

/// How long after a try that was nobody's fault it is repeated.
const RETRY: Duration = Duration::from_secs(5);
/// Files read at once.
const READERS: usize = 4;
/// Tries of a candidate that may come to nothing.
const TRIES: u32 = 3;

#[cfg(test)]
mod tests;
