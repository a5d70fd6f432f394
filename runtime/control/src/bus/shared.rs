//! What the bus and its task share.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Hint;
use super::message::{self, Sender};
use super::state::State;
use crate::redis::RedisKind;

pub(super) struct Shared {
    pub(super) sender: Sender,
    pub(super) unsent: Unsent,
    pub(super) hints: watch::Sender<Option<Hint>>,
    pub(super) state: State,
    /// When a hint last named a revision.
    named: std::sync::Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(kind: Option<RedisKind>, sender: Sender) -> Shared {
        Shared {
            sender,
            unsent: Unsent::default(),
            hints: watch::Sender::new(None),
            state: State::new(kind),
            named: std::sync::Mutex::new(None),
        }
    }

    /// Messages may have been missed.
    pub(super) fn look_now(&self) {
        self.hints.send_replace(Some(Hint { revision: None }));
    }

    /// What came over the channel.
    pub(super) fn hear(&self, payload: &[u8]) {
        let Some((revision, sender)) = message::read(payload) else { return };
        if sender != self.sender {
            self.state.count_received();
            self.tell(revision);
        }
    }

    /// Messages that overtook each other must not hide the newest revision from whoever has not looked yet. One that
    /// stays lower for longer is of a database that was restored.
    fn tell(&self, revision: u64) {
        let mut named = self.named.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let is_recent = named.is_some_and(|named| now.duration_since(named) < OVERTAKING);
        self.hints.send_modify(|hint| {
            let known = hint.and_then(|hint| hint.revision).filter(|_| is_recent);
            *hint = Some(Hint { revision: Some(revision.max(known.unwrap_or(0))) });
            if known.is_none_or(|known| revision >= known) {
                *named = Some(now);
            }
        });
    }
}

/// The newest revision that others have not been told of.
#[derive(Debug)]
pub(super) struct Unsent(watch::Sender<Option<u64>>);

impl Default for Unsent {
    fn default() -> Self {
        Unsent(watch::Sender::new(None))
    }
}

impl Unsent {
    pub(super) fn add(&self, revision: u64) {
        self.0.send_if_modified(|newest| {
            let is_newer = newest.is_none_or(|newest| revision > newest);
            if is_newer {
                *newest = Some(revision);
            }
            is_newer
        });
    }

    /// Waits until there is one. It stays until [`Unsent::remove`].
    pub(super) async fn newest(&self) -> u64 {
        let mut newest = self.0.subscribe();
        loop {
            if let Some(revision) = *newest.borrow_and_update() {
                return revision;
            }
            // No error: the sender is borrowed.
            let _ = newest.changed().await;
        }
    }

    pub(super) fn remove(&self, revision: u64) {
        self.0.send_if_modified(|newest| {
            if *newest == Some(revision) {
                *newest = None;
            }
            false
        });
    }
}

/// How late a message may be that was overtaken.
const OVERTAKING: Duration = Duration::from_secs(1);
