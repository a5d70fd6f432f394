//! The bus: nodes tell each other over Redis that there is something new to look at.
//!
//! A message is a hint and nothing more. The revision log of the database is the truth, so a hint that is lost, doubled,
//! late or made up costs time only, and nobody waits for one.
//!
//! Invariants
//! - [`Bus::publish`] neither waits nor fails, and takes no memory however long Redis is away: the newest revision waits,
//!   no queue.
//! - Whoever hears is told to look whenever messages may have been missed.
//! - What comes from outside is read strictly, and what is odd is ignored.
//! - A Redis that hangs is noticed as one that is gone is.

mod link;
mod message;
mod shared;
mod state;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::redis::RedisOptions;
use message::Sender;
use shared::Shared;
pub use state::BusState;

/// Cheap to clone; ends with its last clone.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
    /// `None`: there is no Redis.
    task: Option<Arc<Task>>,
}

/// There is something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// A revision that somebody wrote. `None`: look, for messages may have been missed.
    pub revision: Option<u64>,
}

/// Ends with its owner.
struct Task(AbortHandle);

impl Bus {
    /// Tells nobody, and hears nothing.
    pub fn none() -> Bus {
        Bus { shared: Arc::new(Shared::new(None, Sender::new(""))), task: None }
    }

    /// Connects on the current runtime, for ever anew when the connection is lost.
    ///
    /// `cluster_id`: whoever has the same one hears the same. `node_id`: of this process; what it says itself it does not
    /// hear.
    pub fn start(options: RedisOptions, cluster_id: &str, node_id: &str) -> Bus {
        let shared = Arc::new(Shared::new(Some(options.kind()), Sender::new(node_id)));
        let channel = format!("tollgate:{cluster_id}:changes");
        let task = tokio::spawn(link::keep(Arc::clone(&shared), options, channel));
        Bus { shared, task: Some(Arc::new(Task(task.abort_handle()))) }
    }

    /// Tells the other nodes of a revision, as soon as that can be done.
    pub fn publish(&self, revision: u64) {
        if self.task.is_some() {
            self.shared.unsent.add(revision);
        }
    }

    /// What others tell. Of hints that come faster than they are looked at only one is seen, the newest revision for the
    /// rule.
    pub fn hints(&self) -> watch::Receiver<Option<Hint>> {
        self.shared.hints.subscribe()
    }

    pub fn state(&self) -> BusState {
        self.shared.state.now()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
