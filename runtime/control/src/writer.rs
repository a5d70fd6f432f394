//! The one way in for changes of a database: one after the other, each checked against all that is there.
//!
//! Invariants
//! - From the plan to the commit the database's revision is locked, so no writer, here or on another node, checks
//!   against what is not there any more: no update is lost, and no two writes that are right alone are wrong together.
//! - What is stored passed `ConfigSet::edit` as a whole, and its secrets are sealed.
//! - A write is answered once this node serves by it, or says that it does not yet.

mod check;
mod draft;
mod error;
mod first_token;
mod locked;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tollgate_store::database::{Origin, Revision, Step};

use crate::configuration::{Feed, StoredModule};

pub use check::{SettingsCheck, SettingsUnchecked};
pub use draft::{Draft, Planned};
pub use error::WriteError;
pub use first_token::{FirstTokenError, first_token};

/// What somebody wants changed. Asked with the revision locked, and once more if that is lost to another writer.
pub trait Plan: Sync {
    type Outcome: Send;

    /// Reads what is there from `draft`, and puts and deletes there.
    fn plan(&self, draft: &mut Draft<'_>) -> impl Future<Output = Result<Self::Outcome, WriteError>> + Send;
}

/// What became of a write.
#[derive(Debug)]
pub struct Written<T> {
    pub outcome: T,
    /// The new one; the one that was checked against where nothing was to be written.
    pub revision: Revision,
    /// `None`: nothing was written, as it was a dry run, or there was nothing to do.
    pub step: Option<Step>,
    /// Whether this node serves by it.
    pub applied: bool,
}

/// How a node tells others of a revision; must not wait.
pub type Announce = Box<dyn Fn(&Revision) + Send + Sync>;

/// Writes for one node. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    inner: Arc<Inner>,
}

struct Inner {
    feed: Feed,
    node: String,
    settings: Arc<dyn SettingsCheck>,
    announce: Announce,
    /// Writers of this node queue here and not at the database, where each would hold a connection.
    turn: Mutex<()>,
}

impl Writer {
    /// `node`: this node's name, for the audit.
    pub fn new(feed: Feed, node: String, settings: Arc<dyn SettingsCheck>, announce: Announce) -> Writer {
        Writer { inner: Arc::new(Inner { feed, node, settings, announce, turn: Mutex::new(()) }) }
    }

    pub fn feed(&self) -> &Feed {
        &self.inner.feed
    }

    /// What a module says of itself.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind "the module".
    pub async fn inspect(&self, bytes: Vec<u8>) -> Result<StoredModule, String> {
        self.inner.settings.inspect(bytes).await
    }

    /// Who writes, and what for.
    pub fn origin(&self, author: &str, action: &str) -> Origin {
        Origin { author: author.to_owned(), action: action.to_owned(), node: self.inner.node.clone() }
    }

    /// Plans, checks, and unless it is a `dry_run` commits; then waits for this node to serve by it, for
    /// [`PATIENCE`] at most.
    pub async fn write<P: Plan>(
        &self,
        origin: &Origin,
        dry_run: bool,
        plan: &P,
    ) -> Result<Written<P::Outcome>, WriteError> {
        let mut written = self.write_only(origin, dry_run, plan).await?;
        if written.step.is_some() {
            written.applied = self.inner.feed.wait_applied(written.revision.number, PATIENCE).await;
        }
        Ok(written)
    }

    /// As [`Writer::write`], without waiting for this node: it may not serve yet.
    pub async fn write_only<P: Plan>(
        &self,
        origin: &Origin,
        dry_run: bool,
        plan: &P,
    ) -> Result<Written<P::Outcome>, WriteError> {
        let mut tries = 0;
        loop {
            let attempt = self.inner.feed.database().written(async {
                let _turn = self.inner.turn.lock().await;
                self.attempt(origin, dry_run, plan).await
            });
            match attempt.await {
                Err(WriteError::Again) if tries < MOST_TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(rand::random_range(1..=10 << tries))).await;
                }
                Ok(written) => {
                    self.tell(&written);
                    return Ok(written);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// At once, so that nobody waits for a timer.
    fn tell<T>(&self, written: &Written<T>) {
        if written.step.is_some() {
            self.inner.feed.hint(Some(written.revision.number));
            (self.inner.announce)(&written.revision);
        }
    }
}

/// How long an answer waits for its own node.
pub const PATIENCE: Duration = Duration::from_secs(10);
const MOST_TRIES: u32 = 6;
