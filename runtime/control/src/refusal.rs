//! Every way a request to these listeners can fail, and the response it gets.

use axum::Json;
use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tollgate_model::{Kind, Problems};
use tollgate_store::database::StoreError;

use crate::writer::WriteError;

/// Shown as `{"message": …}`, with `"problems"` where there may be several.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path; GET / lists what there is")]
    NoPath,
    #[error("there is nothing at this path; there are /status, /status/ready, /status/startup and /metrics")]
    NoStatusPath,
    #[error("there is no {kind} `{name}`")]
    NoEntity { kind: &'static str, name: String },
    /// As [`Refusal::NoEntity`], of something without a name.
    #[error("{0}")]
    NotThere(String),
    #[error("{0}")]
    BadRequest(String),
    /// What is wrong with what was sent, all of it.
    #[error("{}", summary(.0))]
    Problems(Problems),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Precondition(&'static str),
    #[error("the body is larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
    #[error("the body is to be one of {0}, as its Content-Type says")]
    UnsupportedType(&'static str),
    /// Without a token, or with one that is not known.
    #[error("a token is missing, or not known here; send it as `Authorization: Bearer tgt_…`")]
    Unauthorized,
    #[error("{0}")]
    Forbidden(&'static str),
    /// A web page may have made its own name point at this listener (DNS rebinding).
    #[error("this listener answers to localhost and loopback addresses only, whatever the port")]
    ForeignHost,
    #[error("requests from pages of other sites are refused")]
    ForeignOrigin,
    #[error(
        "this node is configured by the file {file}, not through this API; change the file, saved changes are live at once"
    )]
    ConfiguredByFile { file: String },
    #[error("only GET and HEAD are answered here")]
    ReadOnly,
    /// The `Allow` comes with the route.
    #[error("this path does not take the method; the field Allow says which it does")]
    NotAllowed,
    /// Nothing is wrong with the request; the same one may succeed later.
    #[error("{0}")]
    Away(String),
    #[error("an internal error occurred")]
    Internal,
}

impl Refusal {
    /// An answer that can't be put together; `error` goes to the log only.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Refusal {
        tracing::error!(%error, "a control listener can't answer");
        Refusal::Internal
    }

    pub(crate) fn no(kind: Kind, name: &str) -> Refusal {
        Refusal::NoEntity { kind: kind.word(), name: name.to_owned() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Refusal::NoPath | Refusal::NoStatusPath | Refusal::NoEntity { .. } | Refusal::NotThere(_) => {
                StatusCode::NOT_FOUND
            }
            Refusal::BadRequest(_) | Refusal::Problems(_) => StatusCode::BAD_REQUEST,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Precondition(_) => StatusCode::PRECONDITION_FAILED,
            Refusal::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::UnsupportedType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden(_) | Refusal::ForeignHost | Refusal::ForeignOrigin => StatusCode::FORBIDDEN,
            Refusal::ConfiguredByFile { .. } | Refusal::ReadOnly | Refusal::NotAllowed => {
                StatusCode::METHOD_NOT_ALLOWED
            }
            Refusal::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(&self) -> Value {
        let mut body = json!({ "message": self.to_string() });
        if let Refusal::Problems(problems) = self {
            let shown = problems.iter().map(|problem| {
                let mut shown = json!({ "path": problem.path, "message": problem.message });
                if let Some(hint) = &problem.hint {
                    shown["hint"] = hint.as_str().into();
                }
                shown
            });
            body["problems"] = shown.collect();
        }
        body
    }
}

fn summary(problems: &Problems) -> String {
    match &problems.0[..] {
        [problem] => problem.to_string(),
        many => format!("{} things are wrong, nothing was changed", many.len()),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let field = match self {
            Refusal::ConfiguredByFile { .. } | Refusal::ReadOnly => Some((ALLOW, "GET, HEAD")),
            Refusal::Unauthorized => Some((WWW_AUTHENTICATE, "Bearer realm=\"tollgate\"")),
            Refusal::Away(_) => Some((RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = field {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Refusal {
        match error {
            WriteError::Problems(problems) => Refusal::Problems(problems),
            WriteError::Conflict(message) => Refusal::Conflict(message),
            WriteError::Missing { kind, name } => Refusal::no(kind, &name),
            WriteError::Precondition(message) => Refusal::Precondition(message),
            error @ (WriteError::Away(_) | WriteError::Again) => Refusal::Away(error.to_string()),
            WriteError::Store(error) => Refusal::from(error),
        }
    }
}

/// Of a read.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        match error {
            StoreError::Away(_) | StoreError::Silent | StoreError::Again => {
                Refusal::Away(format!("the database can't be asked now: {error}"))
            }
            error => Refusal::internal(&error),
        }
    }
}
