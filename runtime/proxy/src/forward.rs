//! Sends a request upstream and gets the head of its response.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use tollgate_model::entity::Timeouts;
use tollgate_plugin_host::{Exchange, RequestHead};

use crate::body::{Progress, RequestBody};
use crate::error::ErrorKind;
use crate::fields;
use crate::intake::Ends;
use crate::record::Record;
use crate::snapshot::{ServiceEntry, prefixed};
use crate::timer::{Elapsed, within};
use crate::upstream::{Endpoint, InFlight, PooledConnection, SendFailure};
use crate::worker::Shared;

/// What an upstream answered, and the connection it comes on.
pub(crate) struct Forwarded {
    pub(crate) response: Response<Incoming>,
    pub(crate) connection: PooledConnection,
    pub(crate) in_flight: InFlight,
}

/// What is to be sent, apart from its head.
pub(crate) struct Outbound {
    pub(crate) body: RequestBody,
    pub(crate) progress: Rc<Progress>,
    /// The protocol that the client wants to change to.
    pub(crate) upgrade: Option<HeaderValue>,
    pub(crate) preserve_host: bool,
}

/// Chooses targets until one answers. Only what was never sent, or is safe to repeat and has no
/// body, is sent again.
pub(crate) async fn forward(
    worker: &Shared,
    ends: &Ends,
    service: &ServiceEntry,
    outbound: Outbound,
    record: &mut Record,
) -> Result<Forwarded, ErrorKind> {
    let Outbound { body, progress, upgrade, preserve_host } = outbound;
    let bodiless = matches!(body, RequestBody::Empty);
    let mut body = Some(body);
    let mut tried: Vec<Arc<Endpoint>> = Vec::new();
    let mut last = ErrorKind::NoTarget;
    let mut stale = 0;
    let started = Instant::now();
    while tried.len() < TARGETS_TRIED && stale < STALE_CONNECTIONS {
        let Some(endpoint) = service.balancer.choose(&tried) else { break };
        record.attempts += 1;
        let mut connection = match worker.pool.connect(&endpoint, &service.timeouts).await {
            Ok(connection) => connection,
            Err((kind, detail)) => {
                tracing::warn!(target = &*endpoint.address, detail, "upstream connection failed");
                tried.push(endpoint);
                last = kind;
                continue;
            }
        };
        let in_flight = InFlight::begin(Arc::clone(&endpoint));
        let mut exchange = record.exchange().await;
        let head = head(&exchange, service, &endpoint, ends, upgrade.as_ref(), preserve_host);
        exchange.request.sent = true;
        record.seat.put(exchange);
        let head = head?;
        let repeatable = bodiless && head.method.is_idempotent();
        let sending = body.take().unwrap_or(RequestBody::Empty);
        let outcome = waited(&service.timeouts, &progress, connection.send(joined(head, sending))).await;
        match outcome {
            Ok(Ok(response)) => {
                record.upstream = Some(Arc::clone(&endpoint));
                record.upstream_duration = Some(started.elapsed());
                return Ok(Forwarded { response, connection, in_flight });
            }
            Ok(Err(failure)) => {
                if let Some(kind) = progress.failure() {
                    return Err(kind);
                }
                tracing::debug!(target = &*endpoint.address, detail = failure.detail, "request failed upstream");
                last = failure.kind;
                if !again(failure, connection.reused, repeatable, &mut body) {
                    return Err(last);
                }
                stale += 1;
            }
            Err(Elapsed) => {
                // Whoever kept us waiting: the client with its body, or the upstream.
                let late = if progress.is_awaited() { ErrorKind::ClientTimeout } else { ErrorKind::UpstreamTimeout };
                return Err(progress.failure().unwrap_or(late));
            }
        }
    }
    Err(last)
}

/// Whether the request may be sent once more; its body is back in place then.
fn again(failure: SendFailure, reused: bool, repeatable: bool, body: &mut Option<RequestBody>) -> bool {
    match failure.unsent {
        Some(request) => {
            *body = Some(request.into_body());
            true
        }
        // The target closed a connection that had been idle, just as this request went out.
        None => reused && repeatable,
    }
}

/// Waits for the response's head: its time runs from the last progress of the request's body.
async fn waited<T>(timeouts: &Timeouts, progress: &Progress, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut work = std::pin::pin!(work);
    let mut seen = progress.bytes();
    loop {
        match within(timeouts.response, work.as_mut()).await {
            Ok(done) => return Ok(done),
            Err(Elapsed) if progress.bytes() == seen => return Err(Elapsed),
            Err(Elapsed) => seen = progress.bytes(),
        }
    }
}

/// The head that the upstream is sent.
fn head(
    exchange: &Exchange,
    service: &ServiceEntry,
    endpoint: &Endpoint,
    ends: &Ends,
    upgrade: Option<&HeaderValue>,
    preserve_host: bool,
) -> Result<http::request::Parts, ErrorKind> {
    let request = &exchange.request;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = request.method.clone();
    parts.version = Version::HTTP_11;
    parts.uri = request
        .upstream_target()
        .and_then(|target| prefixed(&service.path, target))
        .map(http::Uri::from)
        .ok_or(ErrorKind::BadRequest("the request target is not valid"))?;
    parts.headers = headers(request, endpoint, ends, preserve_host);
    fields::tell_consumer(&mut parts.headers, exchange.identity.as_deref());
    if let Some(protocol) = upgrade {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, protocol.clone());
    }
    Ok(parts)
}

fn headers(request: &RequestHead, endpoint: &Endpoint, ends: &Ends, preserve_host: bool) -> HeaderMap {
    let mut headers = request.headers.clone();
    // Answered here: the body is asked for when the upstream wants it.
    headers.remove(header::EXPECT);
    let host = match &request.host_override {
        Some(host) => host,
        None if preserve_host => request.authority.header(),
        None => &endpoint.authority,
    };
    headers.insert(header::HOST, host.clone());
    fields::forwarded(&mut headers, ends, request.scheme, request.authority.header());
    fields::via(&mut headers, request.version);
    headers.insert(fields::X_REQUEST_ID, request.id.clone());
    headers
}

/// A body of unknown length is told to be one: for methods that seldom have a body hyper would
/// leave it out otherwise.
fn joined(mut head: http::request::Parts, body: RequestBody) -> Request<RequestBody> {
    if http_body::Body::size_hint(&body).exact().is_none() {
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Request::from_parts(head, body)
}

/// Targets of one request that may fail to connect.
const TARGETS_TRIED: usize = 3;
/// Connections of one request that may turn out to be closed.
const STALE_CONNECTIONS: usize = 5;
