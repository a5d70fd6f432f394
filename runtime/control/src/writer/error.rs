use tollgate_model::problem::Problem;
use tollgate_model::{Kind, Problems};
use tollgate_store::database::{ConflictOf, StoreError};

/// Why a write was not done.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// All that is wrong with what it would lead to.
    #[error("{0}")]
    Problems(Problems),
    /// It would be right if something else were not there.
    #[error("{0}")]
    Conflict(String),
    #[error("there is no {kind} `{name}`")]
    Missing { kind: Kind, name: String },
    /// It is not as whoever writes had seen it.
    #[error("{0}")]
    Precondition(&'static str),
    /// Nothing is wrong with it, but the database could not take it. Whether a commit whose answer was lost took
    /// place nobody knows.
    #[error("the database can't be written to now: {0}")]
    Away(StoreError),
    /// Another writer was faster. Tried again by the writer.
    #[error("too many writers at the same time; try again")]
    Again,
    #[error("{0}")]
    Store(StoreError),
}

impl From<Problems> for WriteError {
    fn from(problems: Problems) -> WriteError {
        WriteError::Problems(problems)
    }
}

impl From<Problem> for WriteError {
    fn from(problem: Problem) -> WriteError {
        WriteError::Problems(Problems::from(problem))
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> WriteError {
        match error {
            StoreError::Conflict { kind, of: ConflictOf::Fingerprint, .. } => {
                WriteError::Conflict(format!("this {kind} is in use already"))
            }
            StoreError::Conflict { kind, name, of: ConflictOf::Name } => {
                WriteError::Conflict(format!("there is a {kind} `{name}` already"))
            }
            StoreError::Missing { kind, name } => WriteError::Missing { kind, name },
            StoreError::Again => WriteError::Again,
            error if error.is_away() => WriteError::Away(error),
            error => WriteError::Store(error),
        }
    }
}
