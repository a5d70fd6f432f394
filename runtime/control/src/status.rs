//! The status listener: probes for balancers and orchestrators, and metrics.

mod exposition;
mod process;

use std::io;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::guard::Guard;
use crate::node::Phase;
use crate::refusal::Refusal;
use crate::{NodeView, listener};
use process::ProcessSample;

type Node = Arc<dyn NodeView>;

/// Serves probes and metrics until `shutdown`, on the current runtime. Fails only before it serves.
/// To be stopped last: while the node drains, `/status/ready` has to say so.
///
/// A listener on a loopback address does not answer to names of other sites.
pub async fn serve_status(
    listener: std::net::TcpListener,
    node: Arc<dyn NodeView>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let guard = Guard::new(listener.local_addr()?, Vec::new());
    listener::serve(listener, router(node, guard), shutdown).await
}

fn router(node: Node, guard: Guard) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/status/ready", get(ready))
        .route("/status/startup", get(startup))
        .route("/metrics", get(metrics))
        .fallback(async || Refusal::NoStatusPath)
        .layer(from_fn(refuse_writes))
        .layer(from_fn_with_state(Arc::new(guard), refuse_foreign))
        .with_state(node)
}

async fn refuse_writes(request: Request, next: Next) -> Result<Response, Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(next.run(request).await),
        _ => Err(Refusal::ReadOnly),
    }
}

async fn refuse_foreign(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Result<Response, Refusal> {
    guard.check_name(request.uri(), request.headers())?;
    Ok(next.run(request).await)
}

/// 200 as long as the process answers at all.
async fn status(State(node): State<Node>) -> Response {
    Json(node.status()).into_response()
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Whether this node should be sent requests.
async fn ready(State(node): State<Node>) -> Response {
    let status = node.status();
    let reason = match status.phase {
        Phase::Serving if !status.worker_faults.is_empty() => Some("a worker thread does not move"),
        Phase::Serving if status.database.is_some_and(|database| database.too_stale) => {
            Some("the database could not be asked for longer than store.max_stale")
        }
        Phase::Serving => None,
        Phase::Starting => Some("no configuration serves yet"),
        Phase::Draining => Some("the node is draining"),
    };
    probe(reason.is_none(), Readiness { ready: reason.is_none(), reason })
}

#[derive(Serialize)]
struct Startup {
    started: bool,
}

/// Whether a configuration has served: true from then on, through reloads and the drain.
async fn startup(State(node): State<Node>) -> Response {
    let status = node.status();
    let started = status.phase != Phase::Starting && status.configuration.loaded_at.is_some();
    probe(started, Startup { started })
}

fn probe(passed: bool, body: impl Serialize) -> Response {
    let status = if passed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn metrics(State(node): State<Node>) -> Result<Response, Refusal> {
    let text = exposition::render(node.metrics(), node.status(), ProcessSample::read())
        .map_err(|error| Refusal::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response())
}

#[cfg(test)]
mod tests;
