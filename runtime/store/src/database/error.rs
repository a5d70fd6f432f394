use sqlx::error::DatabaseError;
use tollgate_model::Kind;

/// Why a database did not do what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or ended the conversation. Of a commit nobody knows whether it took place.
    #[error("the database can't be reached: {0}")]
    Away(String),
    /// Nothing came back in time: the network may be cut without a word.
    #[error("the database can't be reached: it does not answer")]
    Silent,
    /// Another transaction was in the way: from the beginning once more.
    #[error("another transaction was in the way")]
    Again,
    #[error("there is a {kind} `{name}` already")]
    Conflict { kind: Kind, name: String, of: ConflictOf },
    #[error("there is no {kind} `{name}`")]
    Missing { kind: Kind, name: String },
    #[error(
        "the database has the schema of a newer version ({found}, this one knows {known}): run that version here too"
    )]
    NewerSchema { found: i64, known: i64 },
    /// A file that can't be what it should be.
    #[error("{0}")]
    Broken(String),
    /// The database does not let us, or does not understand.
    #[error("the database refuses: {0}")]
    Refused(String),
}

/// What was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictOf {
    Name,
    /// The hash of a key or token.
    Fingerprint,
}

impl StoreError {
    /// Trying again later may help; the question is not at fault.
    pub fn is_away(&self) -> bool {
        matches!(self, StoreError::Away(_) | StoreError::Silent)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        use sqlx::Error;
        match &error {
            Error::Database(refused) => of_code(&**refused),
            Error::PoolTimedOut => StoreError::Away("no connection within the timeout".to_owned()),
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolClosed | Error::WorkerCrashed => {
                StoreError::Away(error.to_string())
            }
            Error::BeginFailed => StoreError::Away(error.to_string()),
            _ => StoreError::Refused(error.to_string()),
        }
    }
}

/// By SQLSTATE (PostgreSQL, appendix A), or SQLite's extended result codes.
fn of_code(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default().into_owned();
    let message = error.message().to_owned();
    match code.as_str() {
        // Serialization failure, deadlock; SQLITE_BUSY and its kinds, SQLITE_LOCKED.
        "40001" | "40P01" | "5" | "6" | "261" | "517" | "773" => StoreError::Again,
        // Shutting down, crashed, starting up; too many connections; read-only while failing over; a statement
        // that took too long; a connection that failed.
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25006" | "57014" => StoreError::Away(message),
        connection if connection.starts_with("08") => StoreError::Away(message),
        // SQLITE_CORRUPT, SQLITE_NOTADB.
        "11" | "26" | "267" | "779" => StoreError::Broken(message),
        // SQLITE_IOERR, SQLITE_FULL, SQLITE_READONLY, SQLITE_CANTOPEN.
        "10" | "13" | "8" | "14" => StoreError::Away(message),
        _ => StoreError::Refused(message),
    }
}
