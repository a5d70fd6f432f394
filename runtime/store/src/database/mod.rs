//! Databases: one schema and one set of queries for SQLite, a file of one node, and Postgres, which a cluster shares.
//!
//! Invariants
//! - Who writes holds the one row of `head` from the first look to the commit ([`Writing`]): revisions commit in
//!   order, each number once, and nothing is checked against what is not there any more.
//! - A revision's rows, log, audit and head are one transaction.
//! - Nothing of an error or a URL that is shown has a password in it.

mod backend;
mod digest;
mod error;
mod history;
mod nodes;
mod reading;
mod replica;
mod schema;
mod types;
mod url;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use backend::{Backend, LONGEST_WRITE, Session};
pub use error::{ConflictOf, StoreError};
pub use replica::{Opened, Replica};
pub use types::{
    AuditEntry, Change, Cluster, Edit, Filter, Head, Heartbeat, NewRow, NodeRow, Origin, Revision, Row, Since, Step,
};
pub use url::{DatabaseUrl, InvalidUrl};
pub use writing::Writing;

/// How a database is reached.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    pub url: DatabaseUrl,
    /// A read-only copy that following reads; it may lag.
    pub read_url: Option<DatabaseUrl>,
    /// At most.
    pub connections: u32,
    /// Of a connection attempt, and of a statement.
    pub timeout: Duration,
}

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    /// What following reads, if that is another one.
    copy: Option<Backend>,
    /// The schema is there and is ours.
    ready: OnceCell<()>,
}

impl Database {
    /// Connects, and brings the schema up to date under a lock: several may do so at once.
    pub async fn open(options: &DatabaseOptions) -> Result<Database, StoreError> {
        let database = Database::lazy(options);
        database.ready().await?;
        Ok(database)
    }

    /// Connects when it is asked for something.
    pub fn lazy(options: &DatabaseOptions) -> Database {
        let backend = Backend::new(&options.url, options, backend::Durability::Full);
        let copy = options.read_url.as_ref().map(|url| Backend::new(url, options, backend::Durability::Full));
        Database::of(backend, copy)
    }

    fn of(backend: Backend, copy: Option<Backend>) -> Database {
        Database { inner: Arc::new(Inner { backend, copy, ready: OnceCell::new() }) }
    }

    /// The schema is there; does nothing once that is known.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let backend = &self.inner.backend;
        let prepare = async || {
            let mut tries = 0;
            loop {
                match backend.answered(schema::migrate(backend)).await {
                    // Whoever makes a file what it should be lets nobody wait for it.
                    Err(StoreError::Again) if tries < MOST_TRIES => tries += 1,
                    outcome => return outcome,
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.inner.ready.get_or_try_init(prepare).await.map(|_| ())
    }

    /// Makes the database this process's own to write: of a file there is one writer. Waits for a predecessor to
    /// end, for `patience`.
    pub async fn take_over(&self, patience: Duration) -> Result<(), StoreError> {
        self.inner.backend.take_over(patience).await
    }

    /// Somebody else may take it over from here on: of a file this process writes no more.
    pub fn let_go(&self) {
        self.inner.backend.let_go();
    }

    /// Whether several nodes may have it.
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.backend, Backend::Postgres(_))
    }

    /// Whether this process may write it: always, but for a file that another process has.
    pub fn is_writable(&self) -> bool {
        self.inner.backend.is_writable()
    }

    /// Locks the head; of a file that another process has it is refused.
    pub async fn begin(&self) -> Result<Writing, StoreError> {
        self.ready().await?;
        if !self.is_writable() {
            return Err(StoreError::Away("the database file is still another process's to write".to_owned()));
        }
        let backend = &self.inner.backend;
        backend.answered(async { Writing::begin(backend.write().await?).await }).await
    }

    /// What is asked for between [`Database::begin`] and the end of a write, or [`StoreError::Silent`] where that takes
    /// longer than a write may.
    pub async fn written<T, E: From<StoreError>>(&self, write: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        match tokio::time::timeout(LONGEST_WRITE, write).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.inner.backend.give_up_if_silent(&StoreError::Silent);
                Err(StoreError::Silent.into())
            }
        }
    }

    /// Asks one state of the database, in several steps perhaps.
    async fn reading<T>(&self, ask: impl AsyncFnOnce(&mut Session) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.ready().await?;
        asked(&self.inner.backend, ask).await
    }

    /// As [`Database::reading`], of the copy if there is one.
    async fn following<T>(
        &self,
        ask: impl AsyncFnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ready().await?;
        asked(self.inner.copy.as_ref().unwrap_or(&self.inner.backend), ask).await
    }

    /// As [`Database::reading`], for what takes as long as there is much.
    async fn reading_all<T>(
        &self,
        ask: impl AsyncFnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ready().await?;
        let backend = &self.inner.backend;
        let mut session = backend
            .answered(async {
                let mut session = backend.read().await?;
                session.unhurried().await?;
                Ok(session)
            })
            .await?;
        ask(&mut session).await.inspect_err(|error| backend.give_up_if_silent(error))
    }
}

const MOST_TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

async fn asked<T>(
    backend: &Backend,
    ask: impl AsyncFnOnce(&mut Session) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    backend.answered(async { ask(&mut backend.read().await?).await }).await
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
