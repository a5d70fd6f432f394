//! Noticing that files have changed.
//!
//! Two sources, so that neither has to be perfect: inotify on every folder that the path leads
//! through where something can be swapped (symbolic links as Kubernetes mounts them, missing parents,
//! files mounted one by one), and a look at the files themselves every two seconds. A look always
//! decides; an event only makes it happen at once. Losing all events costs latency, nothing else.

mod folders;
mod observer;
mod state;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::watch;

use observer::{Observer, Signal};

/// What to follow. It may not be there yet, go away and come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    File(PathBuf),
    /// The files directly in a folder that have this extension (without the dot).
    Folder {
        path: PathBuf,
        extension: String,
    },
}

/// Follows files on a thread of its own until it is dropped.
///
/// Level-triggered: a change between [`Watch::new`] and [`Watch::changed`] is kept, several become
/// one. So make the watch first, then read, then wait, then read again.
#[derive(Debug)]
pub struct Watch {
    looks: watch::Receiver<u64>,
    watched: Vec<Watched>,
    observer: mpsc::Sender<Signal>,
}

const POLL_INTERVAL: Duration = Duration::from_secs(2);

impl Watch {
    /// Fails if no thread can be started. Where inotify has run out, the polling alone remains, with a
    /// warning in the log.
    pub fn new(watched: Vec<Watched>) -> io::Result<Watch> {
        Watch::start(watched, POLL_INTERVAL, true)
    }

    fn start(watched: Vec<Watched>, interval: Duration, inotify: bool) -> io::Result<Watch> {
        let (changes, looks) = watch::channel(0);
        let (observer, signals) = mpsc::channel();
        let observing = Observer::new(watched.clone(), interval, inotify.then(|| observer.clone()), signals, changes);
        std::thread::Builder::new().name("file-watch".to_owned()).spawn(move || observing.run())?;
        Ok(Watch { looks, watched, observer })
    }

    /// What is followed.
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// Follows these from now on. What is new among them counts as changed, so that nothing that
    /// happens to it meanwhile is missed.
    pub fn follow(&mut self, watched: Vec<Watched>) {
        if self.watched != watched {
            self.watched.clone_from(&watched);
            // Without its thread a watch makes everybody read every time.
            let _ = self.observer.send(Signal::Follow(watched));
        }
    }

    /// Waits for the next change; returns at once if there was one since the last call. Safe to
    /// cancel.
    pub async fn changed(&mut self) {
        if self.looks.changed().await.is_err() {
            // The thread is gone, which only a bug can do: go on by reading every time.
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Not joined: the thread may be in the middle of reading a slow disk.
        let _ = self.observer.send(Signal::Stop);
    }
}

#[cfg(test)]
mod tests;
