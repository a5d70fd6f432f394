//! Where plugins' output goes: queued, written by one thread, dropped and counted when the queue is full.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::time::{Duration, Instant};

/// All sinks of the process. Sinks of one target are one.
pub(crate) struct SinkHub {
    open: Mutex<Open>,
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
}

#[derive(Default)]
struct Open {
    sinks: HashMap<Target, Weak<Sink>>,
    last_id: u64,
}

/// One target. Closed when the last plugin that opened it lets go.
pub(crate) struct Sink {
    id: u64,
    queue: mpsc::Sender<Message>,
    queued: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    File(PathBuf),
    StandardOutput,
}

enum Message {
    Open { id: u64, target: Target, queued: Arc<AtomicUsize>, done: mpsc::SyncSender<io::Result<()>> },
    Write { id: u64, bytes: Vec<u8> },
    Close { id: u64 },
    Flush { done: mpsc::SyncSender<()> },
}

impl SinkHub {
    /// Starts the writer; it ends when the hub and all sinks are gone.
    pub(crate) fn start() -> io::Result<SinkHub> {
        let (queue, messages) = mpsc::channel();
        std::thread::Builder::new().name("sinks".into()).spawn(move || Writer::default().run(&messages))?;
        Ok(SinkHub { open: Mutex::default(), queue, dropped: Arc::default() })
    }

    /// Opens the target, or shares it. A file is made if missing, and appended to.
    pub(crate) fn open(&self, target: Target) -> io::Result<Arc<Sink>> {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(sink) = open.sinks.get(&target).and_then(Weak::upgrade) {
            return Ok(sink);
        }
        open.sinks.retain(|_, sink| sink.strong_count() > 0);
        open.last_id += 1;
        let id = open.last_id;
        let queued = Arc::new(AtomicUsize::new(0));
        let (done, opened) = mpsc::sync_channel(1);
        let message = Message::Open { id, target: target.clone(), queued: Arc::clone(&queued), done };
        self.queue.send(message).map_err(|_| writer_gone())?;
        opened.recv().map_err(|_| writer_gone())??;
        let sink = Arc::new(Sink { id, queue: self.queue.clone(), queued, dropped: Arc::clone(&self.dropped) });
        open.sinks.insert(target, Arc::downgrade(&sink));
        Ok(sink)
    }

    /// Waits until everything queued so far is written, at most `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let (done, flushed) = mpsc::sync_channel(1);
        if self.queue.send(Message::Flush { done }).is_ok() {
            let _ = flushed.recv_timeout(patience);
        }
    }

    /// Writes dropped since the start, all sinks together.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Sink {
    /// Queues the bytes; false when they were dropped.
    pub(crate) fn write(&self, bytes: Vec<u8>) -> bool {
        let length = bytes.len();
        if self.queued.fetch_add(length, Ordering::Relaxed) + length <= QUEUE_BYTES
            && self.queue.send(Message::Write { id: self.id, bytes }).is_ok()
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
        let _ = self.queue.send(Message::Close { id: self.id });
    }
}

#[derive(Default)]
struct Writer {
    outputs: HashMap<u64, Output>,
}

struct Output {
    target: Target,
    file: Option<File>,
    queued: Arc<AtomicUsize>,
    checked: Instant,
    failing: bool,
}

impl Writer {
    fn run(mut self, messages: &mpsc::Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Open { id, target, queued, done } => {
                    let opened = Output::open(target, queued).map(|output| {
                        self.outputs.insert(id, output);
                    });
                    let _ = done.send(opened);
                }
                Message::Write { id, bytes } => {
                    if let Some(output) = self.outputs.get_mut(&id) {
                        output.write(&bytes);
                    }
                }
                Message::Close { id } => {
                    self.outputs.remove(&id);
                }
                Message::Flush { done } => {
                    let _ = done.send(());
                }
            }
        }
    }
}

impl Output {
    fn open(target: Target, queued: Arc<AtomicUsize>) -> io::Result<Output> {
        let file = open_file(&target)?;
        Ok(Output { target, file, queued, checked: Instant::now(), failing: false })
    }

    fn write(&mut self, bytes: &[u8]) {
        self.follow_rotation();
        let written = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => io::stdout().lock().write_all(bytes),
        };
        self.queued.fetch_sub(bytes.len(), Ordering::Relaxed);
        match written {
            Ok(()) => self.failing = false,
            // One line when it starts to fail, not one a write.
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!(target = ?self.target, %error, "sink can't be written, its output is lost");
            }
            Err(_) => {}
        }
    }

    /// A file that was moved away or removed (log rotation) is made anew, within a second.
    fn follow_rotation(&mut self) {
        if self.checked.elapsed() < ROTATION_CHECK {
            return;
        }
        self.checked = Instant::now();
        let (Target::File(path), Some(file)) = (&self.target, &self.file) else { return };
        let same = match (std::fs::metadata(path), file.metadata()) {
            (Ok(named), Ok(open)) => named.dev() == open.dev() && named.ino() == open.ino(),
            _ => false,
        };
        if !same && let Ok(Some(file)) = open_file(&self.target) {
            self.file = Some(file);
        }
    }
}

fn open_file(target: &Target) -> io::Result<Option<File>> {
    match target {
        Target::File(path) => OpenOptions::new().create(true).append(true).open(path).map(Some),
        Target::StandardOutput => Ok(None),
    }
}

fn writer_gone() -> io::Error {
    io::Error::other("the sink writer has ended")
}

/// What may wait to be written to one target.
const QUEUE_BYTES: usize = 8 << 20;
const ROTATION_CHECK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_plugins_append_to_one_file_and_rotation_is_followed() {
        let folder = std::env::temp_dir().join(format!("tollgate-sink-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("access.log");
        let hub = SinkHub::start().unwrap();
        let a = hub.open(Target::File(path.clone())).unwrap();
        let b = hub.open(Target::File(path.clone())).unwrap();
        assert!(Arc::ptr_eq(&a, &b));
        assert!(a.write(b"one\n".to_vec()) && b.write(b"two\n".to_vec()));
        hub.flush(Duration::from_secs(5));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");

        std::fs::rename(&path, folder.join("access.log.1")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !path.exists() {
            assert!(Instant::now() < deadline, "the file was not made anew");
            a.write(b"three\n".to_vec());
            hub.flush(Duration::from_secs(5));
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let hub = SinkHub::start().unwrap();
        let sink = hub.open(Target::File("/dev/null".into())).unwrap();
        assert!(!sink.write(vec![0; QUEUE_BYTES + 1]));
        assert_eq!(hub.dropped(), 1);
        assert!(sink.write(vec![0; 10]), "what was dropped does not stay queued");
    }
}
