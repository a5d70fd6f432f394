//! The gateway's own log on its way out: nobody who logs waits for whoever reads it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Queues lines for a thread that writes them; drops and counts what finds the queue full.
#[derive(Clone)]
pub struct LogOutput {
    queue: mpsc::SyncSender<Message>,
    losses: Arc<Losses>,
}

/// Writes down what is queued when it is dropped, within [`FLUSH`].
pub struct LogGuard(mpsc::SyncSender<Message>);

/// Lines that were not written since they were last reported.
#[derive(Default)]
pub struct Losses {
    /// The queue was full.
    dropped: AtomicU64,
    /// The same had been said in that second.
    repeated: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    Flush(mpsc::SyncSender<()>),
}

impl LogOutput {
    pub fn start(output: impl Write + Send + 'static) -> io::Result<(LogOutput, LogGuard)> {
        let (queue, messages) = mpsc::sync_channel(LINES);
        let losses = Arc::<Losses>::default();
        let reported = Arc::clone(&losses);
        std::thread::Builder::new().name("log".into()).spawn(move || write_out(output, &messages, &reported))?;
        Ok((LogOutput { queue: queue.clone(), losses }, LogGuard(queue)))
    }

    pub fn losses(&self) -> Arc<Losses> {
        Arc::clone(&self.losses)
    }
}

impl Write for LogOutput {
    /// One call a line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.losses.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH;
        let (done, flushed) = mpsc::sync_channel(1);
        let mut message = Message::Flush(done);
        while let Err(mpsc::TrySendError::Full(back)) = self.0.try_send(message) {
            if Instant::now() > deadline {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = flushed.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

fn write_out(mut output: impl Write, messages: &mpsc::Receiver<Message>, losses: &Losses) {
    let mut reported = Instant::now();
    loop {
        match messages.recv_timeout(REPORT) {
            // An error has nowhere to be told.
            Ok(Message::Line(line)) => drop(output.write_all(&line)),
            Ok(Message::Flush(done)) => {
                let _ = done.send(());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            losses.report();
        }
    }
}

impl Losses {
    fn report(&self) {
        let (dropped, repeated) = (self.dropped.swap(0, Ordering::Relaxed), self.repeated.swap(0, Ordering::Relaxed));
        if dropped + repeated > 0 {
            tracing::warn!(dropped, repeated, "lines are missing from this log");
        }
    }
}

/// Of what the data plane warns of, one line a second for each place in the code: what goes wrong for
/// every request must not become a line a request.
pub struct RepeatLimit {
    said: Mutex<HashMap<Identifier, Instant>>,
    losses: Arc<Losses>,
}

impl RepeatLimit {
    pub fn new(losses: Arc<Losses>) -> RepeatLimit {
        RepeatLimit { said: Mutex::default(), losses }
    }

    fn admits(&self, callsite: Identifier, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_repeated = said.get(&callsite).is_some_and(|last| now.duration_since(*last) < REPEAT);
        if !is_repeated {
            said.insert(callsite, now);
        }
        !is_repeated
    }
}

impl<S: Subscriber> Layer<S> for RepeatLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let about = event.metadata();
        let is_limited = *about.level() <= Level::WARN && about.target().starts_with(DATA_PLANE);
        if !is_limited || self.admits(about.callsite(), Instant::now()) {
            return true;
        }
        self.losses.repeated.fetch_add(1, Ordering::Relaxed);
        false
    }
}

const DATA_PLANE: &str = "tollgate_proxy";
const REPEAT: Duration = Duration::from_secs(1);
/// Lines that may wait to be written.
const LINES: usize = 4096;
/// How often missing lines are told of.
const REPORT: Duration = Duration::from_secs(1);
/// How long the end waits for what is queued.
const FLUSH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Hangs until it is told to go on, then keeps what is written.
    struct Pipe {
        open: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error: it is open for good.
            let _ = self.open.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_logs_does_not_wait_for_a_reader_that_hangs() {
        let (open, closed) = mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let pipe = Pipe { open: closed, written: Arc::clone(&written) };
        let (mut output, guard) = LogOutput::start(pipe).unwrap();
        let lines = 2 * LINES;
        for _ in 0..lines {
            output.write_all(b"line\n").unwrap();
        }
        let dropped = output.losses.dropped.load(Ordering::Relaxed) as usize;
        assert!((LINES - 1..=LINES).contains(&dropped), "{dropped}");
        drop(open);
        drop(guard);
        assert_eq!(written.lock().unwrap().len() / b"line\n".len(), lines - dropped, "the rest is written at the end");
    }

    #[test]
    fn what_the_data_plane_repeats_is_said_once_a_second() {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&lines);
        let losses = Arc::<Losses>::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || Lines(Arc::clone(&kept)));
        let subscriber = tracing_subscriber::registry().with(RepeatLimit::new(Arc::clone(&losses))).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..1000 {
                tracing::warn!(target: "tollgate_proxy::forward", "upstream connection failed");
                tracing::info!(target: "tollgate_proxy::forward", "news");
                tracing::warn!("elsewhere");
            }
        });
        let said = |what: &str| lines.lock().unwrap().iter().filter(|line| line.contains(what)).count();
        assert!((1..10).contains(&said("upstream connection failed")));
        assert_eq!((said("news"), said("elsewhere")), (1000, 1000));
        let repeated = losses.repeated.load(Ordering::Relaxed) as usize;
        assert_eq!(repeated, 1000 - said("upstream connection failed"));
    }

    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
