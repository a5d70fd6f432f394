//! The node itself and its whole configuration.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::Node;
use super::answer::answer;
use crate::Timestamp;
use crate::node::{ConfigurationStatus, NodeStatus, Phase};
use crate::refusal::Refusal;
use crate::view::SetView;

#[derive(Serialize)]
struct About {
    node: String,
    version: String,
    started_at: Timestamp,
    phase: Phase,
    configuration: ConfigurationStatus,
    /// What else this API answers.
    paths: Vec<&'static str>,
}

pub(super) const PATHS: &[&str] = &[
    "/status",
    "/config",
    "/services",
    "/services/{name}",
    "/upstreams",
    "/upstreams/{name}",
    "/upstreams/{name}/targets",
    "/routes",
    "/routes/{name}",
    "/routes/{name}/chain",
    "/consumers",
    "/consumers/{name}",
    "/certificates",
    "/certificates/{name}",
    "/snis",
    "/plugins",
    "/plugins/{name}",
    "/modules",
    "/explain",
];

/// Besides [`PATHS`]; `/openapi.json` tells what each takes.
const STORED_PATHS: &[&str] = &[
    "/snis/{name}",
    "/upstreams/{name}/targets/{address}",
    "/services/{name}/routes",
    "/services/{name}/plugins",
    "/routes/{name}/plugins",
    "/consumers/{name}/plugins",
    "/chain",
    "/chain/plugins",
    "/consumers/{name}/keys",
    "/consumers/{name}/keys/{id}",
    "/tokens",
    "/tokens/{name}",
    "/config/diff",
    "/revisions",
    "/revisions/{number}",
    "/revisions/{number}/rollback",
    "/audit",
    "/nodes",
    "/modules/{name}",
    "/cache",
    "/cache/{kind}/{name}",
    "/openapi.json",
];

pub(super) async fn node(State(node): State<Node>) -> Result<Response, Refusal> {
    about(&node, PATHS.to_vec())
}

/// As [`node`], where there is a database.
pub(super) async fn stored(State(node): State<Node>) -> Result<Response, Refusal> {
    about(&node, PATHS.iter().chain(STORED_PATHS).copied().collect())
}

fn about(node: &Node, paths: Vec<&'static str>) -> Result<Response, Refusal> {
    let NodeStatus { node, version, started_at, phase, configuration, .. } = node.status();
    answer(&About { node, version, started_at, phase, configuration, paths })
}

pub(super) async fn status(State(node): State<Node>) -> Result<Response, Refusal> {
    answer(&node.status())
}

/// Everything at once, without secrets. Rendered beside the runtime: a large set takes a while, and
/// the status listener's probes must not wait for it.
pub(super) async fn configuration(State(node): State<Node>) -> Result<Response, Refusal> {
    let set = node.configuration();
    let rendered = tokio::task::spawn_blocking(move || answer(&SetView::from(&*set)));
    rendered.await.map_err(|error| Refusal::internal(&error))?
}
