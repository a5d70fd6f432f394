//! What the followed files look like.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Watched;
use super::folders::files;

/// Two looks are equal if nothing has changed between them, not even there and back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    files: BTreeMap<PathBuf, FileState>,
}

/// `None` where there is no file that can be read.
type FileState = Option<Seen>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    stamp: Stamp,
    digest: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Files up to this length are read at each look. Of longer ones the stamp is trusted once it is old
/// enough.
const ALWAYS_READ: u64 = 64 * 1024;

/// Time stamps are coarse: a file that was written a moment ago may be written again within the same
/// stamp.
const STAMP_SETTLES: Duration = Duration::from_secs(2);

impl State {
    /// Looks at everything; `before` saves reading what can't have changed.
    pub fn look(watched: &[Watched], before: &State) -> State {
        let paths = watched.iter().flat_map(|watched| match watched {
            Watched::File(path) => vec![path.clone()],
            Watched::Folder { path, extension } => files(path, extension),
        });
        let look = |path: PathBuf| {
            let seen = look_at(&path, before.files.get(&path).and_then(Option::as_ref));
            (path, seen)
        };
        State { files: paths.map(look).collect() }
    }
}

fn look_at(path: &Path, before: Option<&Seen>) -> FileState {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    let stamp = Stamp::of(&metadata);
    let trusted =
        before.filter(|before| metadata.len() > ALWAYS_READ && before.stamp == stamp && is_settled(&metadata));
    let digest = match trusted {
        Some(before) => before.digest,
        None => digest(path)?,
    };
    Some(Seen { stamp, digest })
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).ok()?).ok()?;
    Some(*hasher.finalize().as_bytes())
}

/// A stamp from the future never settles.
fn is_settled(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age > STAMP_SETTLES)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
