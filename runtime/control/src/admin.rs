//! The admin API: reads what a node is told to be and how it fares, and writes where there is a database.
//!
//! Lists are `{"data": […], "next": null}`; `next` is the path of the following page. Errors are
//! `{"message": …}`. A node whose store is a file answers every write with 405 and the file's name; with a
//! database, [`stored`] answers.

mod about;
mod answer;
mod chain;
mod collection;
mod explain;
mod paging;
mod plugins;
mod stored;

use std::io;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;

use crate::guard::Guard;
use crate::refusal::Refusal;
use crate::writer::Writer;
use crate::{NodeView, listener};

type Node = Arc<dyn NodeView>;

#[derive(Clone, Default)]
pub struct AdminOptions {
    /// Host names under which a listener on a loopback address is asked too, besides `localhost` and
    /// its address: those of a proxy in front of it, for example. Without port.
    pub hosts: Vec<String>,
    /// What clients reach this API by, in front of the paths that it tells: `https://admin.example.com/gateway`.
    /// Default: paths alone are told.
    pub public_url: Option<String>,
    /// Of a node whose configuration is in a database. While it is not set the node is starting, and asked for
    /// patience. `None`: the configuration is in a file.
    pub writer: Option<Arc<OnceLock<Writer>>>,
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
    let AdminOptions { hosts, public_url, writer } = options;
    let guard = Guard::new(listener.local_addr()?, hosts);
    let router = match writer {
        Some(writer) => stored::router(node, writer, public_url),
        None => router(node),
    };
    listener::serve(listener, guarded(router, guard), shutdown).await
}

/// Of a node whose store is a file.
fn router(node: Node) -> Router {
    Router::new()
        .route("/", get(about::node))
        .route("/status", get(about::status))
        .route("/config", get(about::configuration))
        .merge(collection::routes())
        .route("/routes/{name}/chain", get(chain::of_route))
        .route("/explain", get(explain::request))
        .route("/plugins", get(plugins::list))
        .route("/plugins/{name}", get(plugins::one))
        .route("/modules", get(plugins::modules))
        .fallback(async || Refusal::NoPath)
        .layer(from_fn_with_state(Arc::clone(&node), refuse_writes))
        .with_state(node)
}

/// What holds whatever the store is.
fn guarded(router: Router, guard: Guard) -> Router {
    router.layer(from_fn_with_state(Arc::new(guard), refuse_foreign)).layer(map_response(not_stored))
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
