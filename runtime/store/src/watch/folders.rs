//! Which folders have to be watched for a path, and what in them matters.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use super::Watched;

/// The watches that are set, kept in step with where the paths lead at present.
pub(super) struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// By real path, with what makes a watch stale: a folder of the same name may be another one.
    watching: BTreeMap<PathBuf, Identity>,
    interests: BTreeMap<PathBuf, Interest>,
    /// Paths that inotify refused, so that each is logged once.
    refused: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Interest {
    Everything,
    Names(BTreeSet<OsString>),
}

type Interests = BTreeMap<PathBuf, Interest>;

/// Device, inode, time of birth (inode numbers are used again).
type Identity = (u64, u64, Option<SystemTime>);

/// As the kernel counts when it resolves a path.
const MOST_LINKS: usize = 40;

/// Each round of [`Folders::follow`] may find folders that appeared during the one before.
const MOST_ROUNDS: usize = 4;

impl Folders {
    /// Without a watcher nothing is watched.
    pub fn new(watcher: Option<RecommendedWatcher>) -> Folders {
        Folders { watcher, watching: BTreeMap::new(), interests: Interests::new(), refused: BTreeSet::new() }
    }

    /// Sets the watches that are needed now and takes the others away.
    pub fn follow(&mut self, watched: &[Watched]) {
        if self.watcher.is_none() {
            return;
        }
        for _ in 0..MOST_ROUNDS {
            let interests = interests(watched);
            let changed = self.watch(&interests);
            self.interests = interests;
            if !changed {
                return;
            }
        }
    }

    /// Whether the event can have changed anything that is followed. Errors and overflows can.
    pub fn concerned_by(&mut self, event: &notify::Result<Event>) -> bool {
        let Ok(event) = event else { return true };
        if event.need_rescan() {
            return true;
        }
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.kind.is_access() && event.kind != written {
            return false;
        }
        // `any` would stop before it has seen every stale watch.
        event.paths.iter().filter(|path| self.path_concerns(path, event.kind)).count() > 0
    }

    fn path_concerns(&mut self, path: &Path, kind: EventKind) -> bool {
        if self.interests.contains_key(path) {
            let gone = matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
            if gone && self.watching.contains_key(path) {
                self.unwatch(path);
            }
            return true;
        }
        match (path.parent().and_then(|folder| self.interests.get(folder)), path.file_name()) {
            (Some(Interest::Everything), _) => true,
            (Some(Interest::Names(names)), Some(name)) => names.contains(name),
            _ => false,
        }
    }

    /// Whether a watch was added.
    fn watch(&mut self, interests: &Interests) -> bool {
        let present: BTreeMap<&PathBuf, Identity> =
            interests.keys().filter_map(|path| Some((path, identity(&fs::metadata(path).ok()?)))).collect();
        let stale: Vec<PathBuf> = self
            .watching
            .iter()
            .filter(|(path, seen)| present.get(path) != Some(seen))
            .map(|(path, _)| path.clone())
            .collect();
        for path in stale {
            self.unwatch(&path);
        }
        let mut added = false;
        for (path, identity) in present {
            if !self.watching.contains_key(path) && self.add(path) {
                self.watching.insert(path.clone(), identity);
                added = true;
            }
        }
        added
    }

    fn add(&mut self, path: &Path) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        match watcher.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.refused.remove(path);
                true
            }
            Err(error) => {
                if self.refused.insert(path.to_owned()) {
                    let path = path.display();
                    warn!(%path, %error, "can't be told of changes here, looking every two seconds instead");
                }
                false
            }
        }
    }

    fn unwatch(&mut self, path: &Path) {
        self.watching.remove(path);
        if let Some(watcher) = &mut self.watcher {
            // Fails where the kernel has taken the watch away itself, with the folder.
            let _ = watcher.unwatch(path);
        }
    }
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.created().ok())
}

fn interests(watched: &[Watched]) -> Interests {
    let mut interests = Interests::new();
    for watched in watched {
        match watched {
            Watched::File(path) => {
                // The file itself too: one that is mounted by itself changes without its folder.
                if let Some(file) = trace(path, &mut interests) {
                    interests.entry(file).or_insert_with(|| Interest::Names(BTreeSet::new()));
                }
            }
            Watched::Folder { path, extension } => {
                let Some(folder) = trace(path, &mut interests) else { continue };
                for file in files(&folder, extension) {
                    trace(&file, &mut interests);
                }
                interests.insert(folder, Interest::Everything);
            }
        }
    }
    interests
}

/// Files of a folder with an extension, sorted; none if there is no such folder.
pub(super) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

/// Walks a path as the kernel does and notes each folder in which an entry could be swapped so that
/// the path leads elsewhere: where a link is, where the next step is missing, and the last two steps.
/// (A folder further up that is moved away is left to the polling.) Returns where the path leads, if
/// it leads anywhere.
fn trace(path: &Path, interests: &mut Interests) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut steps: VecDeque<OsString> = components(&path).collect();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(step) = steps.pop_front() {
        if step == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&step);
        let metadata = fs::symlink_metadata(&next).ok();
        let is_link = metadata.as_ref().is_some_and(Metadata::is_symlink);
        if is_link || metadata.is_none() || steps.len() <= 1 {
            note(interests, &at, &step);
        }
        metadata?;
        if !is_link {
            at = next;
            continue;
        }
        links += 1;
        let target = fs::read_link(&next).ok().filter(|_| links <= MOST_LINKS)?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        for step in components(&target).rev() {
            steps.push_front(step);
        }
    }
    Some(at)
}

fn note(interests: &mut Interests, folder: &Path, name: &OsString) {
    let interest = interests.entry(folder.to_owned()).or_insert_with(|| Interest::Names(BTreeSet::new()));
    if let Interest::Names(names) = interest {
        names.insert(name.clone());
    }
}

fn components(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    })
}
