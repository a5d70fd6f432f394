//! How the bus is, for people and machines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::Timestamp;
use crate::redis::{RedisFailure, RedisKind};

/// How the bus is.
#[derive(Clone, Debug, Serialize)]
pub struct BusState {
    /// `None`: there is no Redis.
    pub kind: Option<RedisKind>,
    pub connected: bool,
    /// Since when it is connected, or is not.
    pub since: Timestamp,
    /// Which server it talks to, or did last.
    pub server: Option<String>,
    /// What is wrong now. Without secrets.
    pub last_error: Option<String>,
    /// Times that a lost connection was replaced.
    pub reconnects: u64,
    /// Hints that Redis took.
    pub published: u64,
    /// Hints of others.
    pub received: u64,
}

#[derive(Debug)]
pub(super) struct State {
    kind: Option<RedisKind>,
    link: Mutex<Link>,
    published: AtomicU64,
    received: AtomicU64,
}

#[derive(Debug)]
struct Link {
    connected: bool,
    since: SystemTime,
    server: Option<String>,
    last_error: Option<String>,
    connects: u64,
    /// What the log said last, and when.
    told: Option<(bool, Instant)>,
}

impl State {
    pub(super) fn new(kind: Option<RedisKind>) -> State {
        let link = Link {
            connected: false,
            since: SystemTime::now(),
            server: None,
            last_error: None,
            connects: 0,
            told: None,
        };
        State { kind, link: Mutex::new(link), published: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    pub(super) fn now(&self) -> BusState {
        let link = self.link();
        BusState {
            kind: self.kind,
            connected: link.connected,
            since: Timestamp(link.since),
            server: link.server.clone(),
            last_error: link.last_error.clone(),
            reconnects: link.connects.saturating_sub(1),
            published: self.published.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    pub(super) fn connected(&self, server: String) {
        let mut link = self.link();
        link.connected = true;
        link.since = SystemTime::now();
        link.server = Some(server);
        link.last_error = None;
        link.connects += 1;
        link.log();
    }

    /// The connection is lost, or could not be made.
    pub(super) fn lost(&self, failure: &RedisFailure) {
        let mut link = self.link();
        if link.connected {
            link.connected = false;
            link.since = SystemTime::now();
        }
        link.last_error = Some(failure.to_string());
        link.log();
    }

    /// Redis does not take what is published.
    pub(super) fn refused(&self, failure: &RedisFailure) {
        self.link().last_error = Some(failure.to_string());
    }

    pub(super) fn count_published(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
        let mut link = self.link();
        if link.connected {
            link.last_error = None;
        }
    }

    pub(super) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// Called now and then, so that the log says in the end how it is.
    pub(super) fn catch_up_log(&self) {
        self.link().log();
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// One line for each change, unless the last line is too fresh: a connection that flaps must not fill the log.
    fn log(&mut self) {
        let is_told = self.told.is_some_and(|(connected, _)| connected == self.connected);
        let is_fresh = self.told.is_some_and(|(_, at)| at.elapsed() < QUIET);
        if is_told || is_fresh {
            return;
        }
        self.told = Some((self.connected, Instant::now()));
        let (server, connects) = (self.server.as_deref().unwrap_or_default(), self.connects);
        match self.connected {
            true => tracing::info!(server, connects, "redis tells of changes"),
            false => {
                let error = self.last_error.as_deref().unwrap_or_default();
                tracing::warn!(error, connects, "redis tells nothing, so changes of other nodes come by polling");
            }
        }
    }
}

/// Between two lines of the log.
const QUIET: Duration = Duration::from_secs(1);
