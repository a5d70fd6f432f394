//! `/nodes`: which nodes follow the database, and how far they are.

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use super::Stored;
use super::caller::{Caller, List, json};
use crate::refusal::Refusal;

pub(super) fn routes() -> Router<Stored> {
    Router::new().route("/nodes", get(list))
}

#[derive(Serialize)]
struct NodeView {
    /// Of the process.
    id: String,
    name: String,
    version: String,
    /// What it serves by.
    revision: u64,
    /// Since its last word, by the database's clock.
    silent_for_ms: i64,
}

async fn list(caller: Caller) -> Result<Response, Refusal> {
    caller.parameters(&[])?;
    let nodes = caller.writer.feed().database().nodes().await?;
    let data: Vec<NodeView> = nodes
        .into_iter()
        .map(|row| NodeView {
            id: row.heartbeat.id,
            name: row.heartbeat.name,
            version: row.heartbeat.version,
            revision: row.heartbeat.revision,
            silent_for_ms: row.age,
        })
        .collect();
    json(StatusCode::OK, &List { data, next: None })
}
