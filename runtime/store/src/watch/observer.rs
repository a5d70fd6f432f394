//! The thread behind a [`Watch`](super::Watch).

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use notify::Event;
use tokio::sync::watch;
use tracing::warn;

use super::Watched;
use super::folders::Folders;
use super::state::State;

#[derive(Debug)]
pub(super) enum Signal {
    Event(notify::Result<Event>),
    Follow(Vec<Watched>),
    Stop,
}

pub(super) struct Observer {
    watched: Vec<Watched>,
    interval: Duration,
    folders: Folders,
    signals: Receiver<Signal>,
    /// Counts changes.
    changes: watch::Sender<u64>,
    state: State,
}

/// A writer who pauses for longer has probably finished.
const QUIET: Duration = Duration::from_millis(10);
/// Somebody who never pauses is looked at all the same.
const LONGEST_WAIT_FOR_QUIET: Duration = Duration::from_millis(250);

#[derive(PartialEq)]
enum Woken {
    Look,
    Stop,
}

impl Observer {
    /// `events` is where inotify's events go; without it there is only polling. Watches and takes its
    /// first look before it returns, so that nothing that comes later is missed.
    pub fn new(
        watched: Vec<Watched>,
        interval: Duration,
        events: Option<Sender<Signal>>,
        signals: Receiver<Signal>,
        changes: watch::Sender<u64>,
    ) -> Observer {
        let mut folders = Folders::new(events.and_then(inotify));
        folders.follow(&watched);
        let state = State::look(&watched, &State::default());
        Observer { watched, interval, folders, signals, changes, state }
    }

    pub fn run(mut self) {
        while self.wait() == Woken::Look {
            // Before the look: what changes after it then gives an event.
            self.folders.follow(&self.watched);
            let state = State::look(&self.watched, &self.state);
            if state != self.state {
                self.state = state;
                self.changes.send_modify(|count| *count += 1);
            }
        }
    }

    /// Until something may have changed and the dust has settled, or it is time to look anyway.
    fn wait(&mut self) -> Woken {
        let deadline = Instant::now() + self.interval;
        loop {
            match self.signals.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Signal::Event(event)) if self.folders.concerned_by(&event) => return self.settle(),
                Ok(Signal::Event(_)) if Instant::now() < deadline => {}
                Ok(Signal::Follow(watched)) => {
                    self.watched = watched;
                    return Woken::Look;
                }
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return Woken::Stop,
                Ok(Signal::Event(_)) | Err(RecvTimeoutError::Timeout) => return Woken::Look,
            }
        }
    }

    fn settle(&mut self) -> Woken {
        let latest = Instant::now() + LONGEST_WAIT_FOR_QUIET;
        let mut quiet_at = Instant::now() + QUIET;
        loop {
            let until = quiet_at.min(latest);
            match self.signals.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Signal::Event(event)) if self.folders.concerned_by(&event) => quiet_at = Instant::now() + QUIET,
                Ok(Signal::Event(_)) if Instant::now() < until => {}
                Ok(Signal::Follow(watched)) => self.watched = watched,
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return Woken::Stop,
                Ok(Signal::Event(_)) | Err(RecvTimeoutError::Timeout) => return Woken::Look,
            }
            if Instant::now() >= latest {
                return Woken::Look;
            }
        }
    }
}

fn inotify(events: Sender<Signal>) -> Option<notify::RecommendedWatcher> {
    let send = move |event| {
        // Fails only when the observer has stopped, and then nobody wants to know.
        let _ = events.send(Signal::Event(event));
    };
    notify::recommended_watcher(send)
        .inspect_err(|error| warn!(%error, "can't be told of changed files, looking at them every two seconds instead"))
        .ok()
}
