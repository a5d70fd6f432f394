//! `/openapi.json`: all of this, for machines.

mod endpoints;
mod document;
mod schemas;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::Stored;
use super::caller::{Caller, json};
use crate::refusal::Refusal;

pub(super) use document::document;
#[cfg(test)]
pub(super) use endpoints::endpoints;

pub(super) fn routes() -> Router<Stored> {
    Router::new().route("/openapi.json", get(read))
}

async fn read(caller: Caller) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    json(StatusCode::OK, &document(caller.link("")))
}
