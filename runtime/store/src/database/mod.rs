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

use backend::{Backend, Session};
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
        let ready = self.inner.ready.get_or_try_init(async || schema::migrate(&self.inner.backend).await);
        ready.await.map(|_| ())
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
        Writing::begin(self.inner.backend.write().await?).await
    }

    /// One state of the database, to be read in several steps.
    async fn reading(&self) -> Result<Session, StoreError> {
        self.ready().await?;
        self.inner.backend.read().await
    }

    /// As [`Database::reading`], of the copy if there is one.
    async fn following(&self) -> Result<Session, StoreError> {
        match &self.inner.copy {
            Some(copy) => {
                self.ready().await?;
                copy.read().await
            }
            None => self.reading().await,
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
