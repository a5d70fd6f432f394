//! The admin API: reads what a node is told to be and how it fares.
//!
//! Lists are `{"data": […], "next": null}`; `next` is the path of the following page. Errors are
//! `{"message": …}`. This node's store is a file, so every write is answered with 405 and the file's
//! name; writes come with the stores that take them.

mod about;
mod answer;
mod chain;
mod collection;
mod paging;
mod plugins;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;

use crate::guard::Guard;
use crate::refusal::Refusal;
use crate::{NodeView, listener};

type Node = Arc<dyn NodeView>;

#[derive(Clone, Debug, Default)]
pub struct AdminOptions {
    /// Host names under which a listener on a loopback address is asked too, besides `localhost` and
    /// its address: those of a proxy in front of it, for example. Without port.
    pub hosts: Vec<String>,
}

/// Serves the admin API until `shutdown`, on the current runtime. Fails only before it serves.
///
/// A listener on a loopback address answers only requests whose Host is a loopback name; any listener
/// refuses requests that pages of other origins send.
pub async fn serve_admin(
    listener: std::net::TcpListener,
    node: Arc<dyn NodeView>,
    options: AdminOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let guard = Guard::new(listener.local_addr()?, options.hosts);
    listener::serve(listener, router(node, guard), shutdown).await
}

fn router(node: Node, guard: Guard) -> Router {
    Router::new()
        .route("/", get(about::node))
        .route("/status", get(about::status))
        .route("/config", get(about::configuration))
        .merge(collection::routes())
        .route("/routes/{name}/chain", get(chain::of_route))
        .route("/plugins", get(plugins::list))
        .route("/plugins/{name}", get(plugins::one))
        .route("/modules", get(plugins::modules))
        .fallback(async || Refusal::NoPath)
        .layer(from_fn_with_state(Arc::clone(&node), refuse_writes))
        .layer(from_fn_with_state(Arc::new(guard), refuse_foreign))
        .layer(map_response(not_stored))
        .with_state(node)
}

/// Answers live for the moment only, and no browser shall take one for a page.
async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn refuse_foreign(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Result<Response, Refusal> {
    guard.check(request.uri(), request.headers())?;
    Ok(next.run(request).await)
}

/// Whatever the path: what can't be written at all need not be there.
async fn refuse_writes(State(node): State<Node>, request: Request, next: Next) -> Result<Response, Refusal> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(next.run(request).await);
    }
    let source = node.status().configuration.source;
    Err(Refusal::ConfiguredByFile { file: source.strip_prefix("file:").unwrap_or(&source).to_owned() })
}

#[cfg(test)]
mod tests;
