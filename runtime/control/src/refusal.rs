//! Every way a request to these listeners can fail, and the response it gets.

use axum::Json;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Shown as `{"message": …}`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path; GET / lists what there is")]
    NoPath,
    #[error("there is nothing at this path; there are /status, /status/ready, /status/startup and /metrics")]
    NoStatusPath,
    #[error("there is no {kind} `{name}`")]
    NoEntity { kind: &'static str, name: String },
    #[error("{0}")]
    BadRequest(String),
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
    #[error("an internal error occurred")]
    Internal,
}

impl Refusal {
    /// An answer that can't be put together; `error` goes to the log only.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Refusal {
        tracing::error!(%error, "a control listener can't answer");
        Refusal::Internal
    }

    fn status(&self) -> StatusCode {
        match self {
            Refusal::NoPath | Refusal::NoStatusPath | Refusal::NoEntity { .. } => StatusCode::NOT_FOUND,
            Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
            Refusal::ForeignHost | Refusal::ForeignOrigin => StatusCode::FORBIDDEN,
            Refusal::ConfiguredByFile { .. } | Refusal::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(json!({ "message": self.to_string() }))).into_response();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
