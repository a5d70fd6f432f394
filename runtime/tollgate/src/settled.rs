//! Reading a file that somebody may be writing.
//!
//! Half of a file can be as valid as the whole: what was read counts only if the file has not changed
//! for a while. One that was moved into its place is whole from the start, and is not waited for.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What shows that a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Of name, mode and the like too.
    changed: (i64, i64),
}

/// What `read` makes of the file at rest, or of a path without one. `None` if it never rests. `taken`
/// is the file that was last read to its end: this one, from now on.
pub async fn read<T>(path: &Path, taken: &mut Option<Look>, read: impl Fn() -> T) -> Option<T> {
    for _ in 0..TRIES {
        let before = Look::at(path);
        let outcome = read();
        let Some(look) = before else {
            return Some(outcome);
        };
        if !look.is_moved_here(taken.as_ref()) {
            tokio::time::sleep(look.unrest(SystemTime::now())).await;
        }
        if Look::at(path) == before {
            *taken = before;
            return Some(outcome);
        }
    }
    None
}

impl Look {
    fn at(path: &Path) -> Option<Look> {
        std::fs::metadata(path).ok().map(|about| Look::of(&about))
    }

    fn of(about: &Metadata) -> Look {
        Look {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// Another file than the last one, and renamed after its last byte was written.
    fn is_moved_here(&self, taken: Option<&Look>) -> bool {
        let is_another = taken.is_some_and(|taken| (taken.device, taken.inode) != (self.device, self.inode));
        is_another && self.changed > self.modified
    }

    /// How long it has to stay as it is.
    fn unrest(&self, now: SystemTime) -> Duration {
        let (seconds, nanoseconds) = self.modified;
        let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
        match now.duration_since(SystemTime::UNIX_EPOCH + since) {
            Ok(age) => SETTLE.saturating_sub(age),
            // By a clock that is ahead of ours.
            Err(_) => SETTLE,
        }
    }
}

/// How long a file must have stayed the same.
const SETTLE: Duration = Duration::from_millis(50);
/// Looks at a file that changes all the time, before others get their turn.
const TRIES: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: Look = Look { device: 1, inode: 1, length: 10, modified: (100, 0), changed: (100, 0) };

    #[test]
    fn a_file_that_was_moved_into_its_place_is_whole() {
        let other = Look { inode: 2, ..WRITTEN };
        let moved = Look { changed: (100, 1), ..other };
        assert!(moved.is_moved_here(Some(&WRITTEN)));
        assert!(!other.is_moved_here(Some(&WRITTEN)), "made under its name, and maybe still being written");
        assert!(!Look { inode: 1, ..moved }.is_moved_here(Some(&WRITTEN)), "the same one with another mode");
        assert!(!moved.is_moved_here(None), "nothing is known of it");
    }

    #[test]
    fn a_file_rests_for_so_long_after_it_was_written() {
        let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(WRITTEN.unrest(at(100_010)), SETTLE - Duration::from_millis(10));
        assert_eq!(WRITTEN.unrest(at(200_000)), Duration::ZERO);
        assert_eq!(WRITTEN.unrest(at(99_000)), SETTLE, "its clock is ahead");
    }

    #[tokio::test]
    async fn what_was_read_while_the_file_changed_does_not_count() {
        let path = std::env::temp_dir().join(format!("tollgate-settled-{}", std::process::id()));
        std::fs::write(&path, "half").unwrap();
        let reads = std::cell::Cell::new(0);
        let mut taken = None;
        let outcome = read(&path, &mut taken, || {
            let text = std::fs::read_to_string(&path).unwrap();
            reads.set(reads.get() + 1);
            if reads.get() == 1 {
                std::fs::write(&path, "the whole").unwrap();
            }
            text
        });
        assert_eq!(outcome.await.as_deref(), Some("the whole"));
        let busy = || std::fs::write(&path, "x".repeat(reads.replace(reads.get() + 1))).unwrap();
        assert_eq!(read(&path, &mut None, busy).await, None, "it never rests");
        std::fs::remove_file(&path).unwrap();
    }
}
