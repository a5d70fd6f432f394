//! Connections to either database, and what differs between them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Postgres, Sqlite, Transaction};

use super::{DatabaseOptions, DatabaseUrl, StoreError};

pub(super) enum Backend {
    Sqlite(SqliteFile),
    Postgres(Box<PostgresServer>),
}

pub(super) struct PostgresServer {
    connect: PgConnectOptions,
    options: PgPoolOptions,
    pool: Mutex<PgPool>,
    timeout: Duration,
}

pub(super) struct SqliteFile {
    path: PathBuf,
    readers: SqlitePool,
    /// One connection: SQLite has one writer.
    writer: SqlitePool,
    /// Held by the process that writes; `None` in a process that may only read.
    lock: Mutex<Option<File>>,
    /// Of a file that is nobody else's business.
    private: bool,
}

/// What a commit waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The disk.
    Full,
    /// Not even that: what is lost is loaded anew.
    Replica,
}

/// A transaction.
pub(super) enum Session {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// The same with either transaction, as the connection `$connection`.
macro_rules! on {
    ($session:expr, $connection:ident => $body:expr) => {
        match $session {
            $crate::database::backend::Session::Sqlite(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
            $crate::database::backend::Session::Postgres(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
        }
    };
}
pub(super) use on;

impl Backend {
    /// Connects to nothing yet.
    pub(super) fn new(url: &DatabaseUrl, options: &DatabaseOptions, durability: Durability) -> Backend {
        match url {
            DatabaseUrl::Sqlite(path) => Backend::Sqlite(SqliteFile::new(path, options, durability)),
            DatabaseUrl::Postgres { options: connect, .. } => {
                Backend::Postgres(Box::new(PostgresServer::new(connect, options)))
            }
        }
    }

    /// A state that stays the same however long it is read.
    pub(super) async fn read(&self) -> Result<Session, StoreError> {
        Ok(match self {
            Backend::Sqlite(file) => Session::Sqlite(file.readers.begin().await?),
            Backend::Postgres(server) => {
                let (begin, pool) = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", server.pool());
                Session::Postgres(once_more(|| pool.begin_with(begin)).await?)
            }
        })
    }

    pub(super) async fn write(&self) -> Result<Session, StoreError> {
        Ok(match self {
            Backend::Sqlite(file) => Session::Sqlite(file.writer.begin_with("BEGIN IMMEDIATE").await?),
            Backend::Postgres(server) => {
                let pool = server.pool();
                Session::Postgres(once_more(|| pool.begin()).await?)
            }
        })
    }

    pub(super) fn is_writable(&self) -> bool {
        match self {
            Backend::Sqlite(file) => file.private || file.held().is_some(),
            Backend::Postgres(_) => true,
        }
    }

    pub(super) async fn take_over(&self, patience: Duration) -> Result<(), StoreError> {
        match self {
            Backend::Sqlite(file) => file.take_over(patience).await,
            Backend::Postgres(_) => Ok(()),
        }
    }

    pub(super) fn let_go(&self) {
        if let Backend::Sqlite(file) = self {
            file.held().take();
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Backend::Sqlite(file) => {
                file.readers.close().await;
                file.writer.close().await;
            }
            Backend::Postgres(server) => server.pool().close().await,
        }
    }

    /// What is asked for, or [`StoreError::Silent`] if a server says nothing for too long. Not for what takes as long
    /// as there is much.
    pub(super) async fn answered<T>(
        &self,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self {
            // The disk has no such silence, and its locks have timeouts of their own.
            Backend::Sqlite(_) => asked.await,
            Backend::Postgres(server) => {
                let outcome = tokio::time::timeout(server.timeout * STATEMENTS, asked).await;
                outcome.unwrap_or(Err(StoreError::Silent)).inspect_err(|error| self.give_up_if_silent(error))
            }
        }
    }

    /// Over a cut network connections stay silent for as long as the kernel tries; the next ones are new.
    pub(super) fn give_up_if_silent(&self, error: &StoreError) {
        if let (Backend::Postgres(server), StoreError::Silent) = (self, error) {
            *server.held() = server.options.clone().connect_lazy_with(server.connect.clone());
        }
    }

    /// Types that are not called the same.
    pub(super) fn types(&self) -> Types {
        match self {
            // Compared by bytes as it is.
            Backend::Sqlite(_) => Types { text: "TEXT", bytes: "BLOB" },
            Backend::Postgres(_) => Types { text: "TEXT COLLATE \"C\"", bytes: "BYTEA" },
        }
    }
}

pub(super) struct Types {
    pub(super) text: &'static str,
    pub(super) bytes: &'static str,
}

/// Pooled connections may have been closed by the other side meanwhile, and say so at once: the next one is new. What
/// takes time is no such.
async fn once_more<T, F: Future<Output = Result<T, sqlx::Error>>>(attempt: impl Fn() -> F) -> Result<T, StoreError> {
    let started = Instant::now();
    loop {
        match attempt().await.map_err(StoreError::from) {
            Err(StoreError::Away(_)) if started.elapsed() < AT_ONCE => {}
            outcome => return outcome,
        }
    }
}

impl Session {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Session::Sqlite(transaction) => transaction.commit().await?,
            Session::Postgres(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    /// For what takes as long as there is much: no statement of this transaction is cut off by the server.
    pub(super) async fn unhurried(&mut self) -> Result<(), StoreError> {
        if let Session::Postgres(transaction) = self {
            sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// Milliseconds since 1970 by the database's own clock, as an expression.
    pub(super) fn now(&self) -> &'static str {
        match self {
            Session::Sqlite(_) => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Session::Postgres(_) => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }
}

impl PostgresServer {
    fn new(connect: &PgConnectOptions, options: &DatabaseOptions) -> PostgresServer {
        let statement = format!("{}ms", options.timeout.as_millis());
        // Who stops in the middle of a write holds the head, and all other writers with it.
        let idle = format!("{}ms", LONGEST_PAUSE.as_millis());
        let limits =
            [("statement_timeout", statement.as_str()), ("idle_in_transaction_session_timeout", idle.as_str())];
        let connect = connect.clone().options(limits);
        let pool = PgPoolOptions::new().max_connections(options.connections).acquire_timeout(options.timeout);
        let options_of_pool = pool.test_before_acquire(false);
        let pool = Mutex::new(options_of_pool.clone().connect_lazy_with(connect.clone()));
        PostgresServer { connect, options: options_of_pool, pool, timeout: options.timeout }
    }

    fn pool(&self) -> PgPool {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, PgPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqliteFile {
    fn new(path: &Path, options: &DatabaseOptions, durability: Durability) -> SqliteFile {
        make_private(path);
        let synchronous = match durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Replica => SqliteSynchronous::Normal,
        };
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(options.timeout);
        let pool = SqlitePoolOptions::new().acquire_timeout(options.timeout);
        SqliteFile {
            path: path.to_owned(),
            writer: pool.clone().max_connections(1).connect_lazy_with(connect.clone()),
            readers: pool.max_connections(options.connections).connect_lazy_with(connect),
            lock: Mutex::new(None),
            private: durability == Durability::Replica,
        }
    }

    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    async fn take_over(&self, patience: Duration) -> Result<(), StoreError> {
        let path = self.path.with_added_extension("lock");
        let refused = |error: &dyn std::fmt::Display| StoreError::Broken(format!("{}: {error}", path.display()));
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(PRIVATE).open(&path);
        let file = file.map_err(|error| refused(&error))?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_POLL).await;
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(StoreError::Broken(format!(
                        "{} is in use by another gateway: an SQLite database is for one node; give this one another \
                         file, or both a Postgres",
                        self.path.display()
                    )));
                }
                Err(std::fs::TryLockError::Error(error)) => return Err(refused(&error)),
            }
        }
        *self.held() = Some(file);
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Option<File>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Before SQLite makes it with the mode that everything has; its journals take the mode of the file.
fn make_private(path: &Path) {
    // Where it can't be made, opening it says so.
    let _ = OpenOptions::new().create(true).truncate(false).write(true).mode(PRIVATE).open(path);
}

/// No write takes longer, that of a million entities included.
pub(super) const LONGEST_WRITE: Duration = Duration::from_secs(600);
/// Between two statements of a write all of it is checked.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The timeout of so many statements is the patience with what is asked for.
const STATEMENTS: u32 = 3;
const PRIVATE: u32 = 0o600;
const LOCK_POLL: Duration = Duration::from_millis(20);
/// How long stale connections of a pool are tried one after the other.
const AT_ONCE: Duration = Duration::from_millis(250);
