//! Where plugins' output goes: queued, written by a thread of each target, dropped and counted when
//! its queue is full.
//!
//! Nobody but a target's own thread waits for its disk: one that hangs stops neither a worker nor
//! another target.

mod writer;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// All sinks of the process. Sinks of one target are one.
#[derive(Default)]
pub(crate) struct SinkHub {
    open: Mutex<Open>,
    dropped: Arc<AtomicU64>,
}

#[derive(Default)]
struct Open {
    sinks: HashMap<Target, Weak<Sink>>,
    /// All that may still have something to write, those of closed sinks too.
    writers: Vec<(mpsc::Sender<Message>, JoinHandle<()>)>,
}

/// One target. Closed when the last plugin that opened it lets go.
pub(crate) struct Sink {
    queue: mpsc::Sender<Message>,
    queued: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
    /// `None` while it is being opened.
    opened: watch::Receiver<Option<Result<(), Arc<str>>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    File(PathBuf),
    StandardOutput,
}

enum Message {
    Write(Vec<u8>),
    Flush(mpsc::SyncSender<()>),
    Close,
}

impl SinkHub {
    /// Opens the target, or shares it: at once when it is open already. A file is made if missing,
    /// and appended to.
    pub(crate) async fn open(&self, target: Target) -> Result<Arc<Sink>, Arc<str>> {
        let sink = self.sink(target).map_err(|error| error.to_string())?;
        let mut opened = sink.opened.clone();
        let outcome = match opened.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => Some(Err("its writer has ended".into())),
        };
        outcome.expect("it was waited for").map(|()| sink)
    }

    /// Waits until everything queued so far is written, at most `patience`. Blocks.
    pub(crate) fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let open = self.lock();
        let flushed: Vec<_> = open.writers.iter().filter_map(|(queue, _)| flush(queue)).collect();
        drop(open);
        let is_late = |flushed: &mpsc::Receiver<()>| {
            let left = deadline.saturating_duration_since(Instant::now());
            // One that ended meanwhile had nothing left to write.
            flushed.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout)
        };
        let late = flushed.iter().filter(|flushed| is_late(flushed)).count();
        if late > 0 {
            tracing::warn!(count = late, "output lost, sinks could not be written in time");
        }
    }

    /// Writes dropped since the start, all sinks together.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The target's sink, which may still be opening.
    fn sink(&self, target: Target) -> io::Result<Arc<Sink>> {
        let mut open = self.lock();
        if let Some(sink) = open.sinks.get(&target).and_then(Weak::upgrade) {
            return Ok(sink);
        }
        open.sinks.retain(|_, sink| sink.strong_count() > 0);
        open.writers.retain(|(_, thread)| !thread.is_finished());
        let (queue, messages) = mpsc::channel();
        let (tell, opened) = watch::channel(None);
        let queued = Arc::new(AtomicUsize::new(0));
        let dropped = Arc::clone(&self.dropped);
        let sink = Arc::new(Sink { queue: queue.clone(), queued: Arc::clone(&queued), dropped, opened });
        // Held while it opens: one that hangs in it is not given up for another thread that hangs.
        let (opening, place) = (Arc::clone(&sink), target.clone());
        let thread = std::thread::Builder::new().name("sink".into()).spawn(move || {
            let output = writer::open(place, queued);
            // Before anybody hears of a failure: who tries again gets a new one.
            drop(opening);
            tell.send_replace(Some(output.as_ref().map(|_| ()).map_err(|error| error.to_string().into())));
            if let Ok(output) = output {
                output.write_all(&messages);
            }
        })?;
        open.writers.push((queue, thread));
        open.sinks.insert(target, Arc::downgrade(&sink));
        Ok(sink)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Sink {
    /// Queues the bytes; false when they were dropped.
    pub(crate) fn write(&self, bytes: &[u8]) -> bool {
        let length = bytes.len();
        if self.queued.fetch_add(length, Ordering::Relaxed) + length <= QUEUE_BYTES
            && self.queue.send(Message::Write(bytes.to_vec())).is_ok()
        {
            return true;
        }
        self.queued.fetch_sub(length, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
        false
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.queue.send(Message::Close);
    }
}

/// `None` when the writer has ended.
fn flush(queue: &mpsc::Sender<Message>) -> Option<mpsc::Receiver<()>> {
    let (done, flushed) = mpsc::sync_channel(1);
    queue.send(Message::Flush(done)).ok()?;
    Some(flushed)
}

/// What may wait to be written to one target.
const QUEUE_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_plugins_append_to_one_file_and_rotation_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let hub = SinkHub::default();
        let a = hub.open(Target::File(path.clone())).await.unwrap();
        let b = hub.open(Target::File(path.clone())).await.unwrap();
        assert!(Arc::ptr_eq(&a, &b));
        assert!(a.write(b"one\n") && b.write(b"two\n"));
        hub.flush(Duration::from_secs(5));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");

        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !path.exists() {
            assert!(Instant::now() < deadline, "the file was not made anew");
            a.write(b"three\n");
            hub.flush(Duration::from_secs(5));
        }
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts() {
        let hub = SinkHub::default();
        let sink = hub.open(Target::File("/dev/null".into())).await.unwrap();
        assert!(!sink.write(&vec![0; QUEUE_BYTES + 1]));
        assert_eq!(hub.dropped(), 1);
        assert!(sink.write(&[0; 10]), "what was dropped does not stay queued");
    }

    #[tokio::test]
    async fn what_was_written_before_the_end_is_flushed_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let hub = SinkHub::default();
        let sink = hub.open(Target::File(path.clone())).await.unwrap();
        assert!(sink.write(b"last words"));
        drop(sink);
        hub.flush(Duration::from_secs(5));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "last words");
    }

    #[tokio::test]
    async fn a_target_that_can_not_be_opened_says_why_and_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("access.log");
        let hub = SinkHub::default();
        let refused = hub.open(Target::File(path.clone())).await.err().unwrap();
        assert!(refused.contains("No such file"), "{refused}");
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        assert!(hub.open(Target::File(path)).await.is_ok());
    }

    /// A FIFO without a reader: opening it hangs, as a network file system does that went away.
    #[tokio::test]
    async fn a_target_that_hangs_stops_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let hub = SinkHub::default();
        let moment = Duration::from_millis(50);
        for _ in 0..3 {
            let hanging = tokio::time::timeout(moment, hub.open(Target::File(fifo.clone())));
            assert!(hanging.await.is_err(), "nobody reads the other end");
        }
        assert_eq!(hub.lock().writers.len(), 1, "it is tried once");
        let path = folder.path().join("access.log");
        let sink = hub.open(Target::File(path.clone())).await.unwrap();
        assert!(sink.write(b"one"));
        hub.flush(moment);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        // Lets the thread that hangs go on, and end.
        let _reader = std::fs::File::open(&fifo).unwrap();
        assert!(hub.open(Target::File(fifo)).await.is_ok());
    }
}
