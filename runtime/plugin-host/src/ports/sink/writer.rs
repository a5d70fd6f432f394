//! The thread of one target.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::{Message, Target};

pub(super) struct Output {
    target: Target,
    /// `None` for standard output.
    file: Option<File>,
    /// Bytes that wait in the queue.
    queued: Arc<AtomicUsize>,
    checked: Instant,
    failing: bool,
}

pub(super) fn open(target: Target, queued: Arc<AtomicUsize>) -> io::Result<Output> {
    let file = open_file(&target)?;
    Ok(Output { target, file, queued, checked: Instant::now(), failing: false })
}

impl Output {
    /// Writes what comes until the sink is closed.
    pub(super) fn write_all(mut self, messages: &mpsc::Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Write(bytes) => self.write(&bytes),
                Message::Flush(done) => {
                    let _ = done.send(());
                }
                Message::Close => return,
            }
        }
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

const ROTATION_CHECK: Duration = Duration::from_secs(1);
