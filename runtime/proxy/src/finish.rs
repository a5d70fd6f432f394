//! The way back: response hooks, body hooks, and the response on its way to the client.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tollgate_plugin_host::{
    BodyMode, Exchange, HookError, HookErrorKind, Origin, Outcome, RequestHead, ResponseHead, Run,
};

use crate::body::{ResponseBody, UpstreamBody};
use crate::buffered::{self, Held};
use crate::error::ErrorKind;
use crate::fields;
use crate::forward::Forwarded;
use crate::record::Record;
use crate::respond::{self, Answer, Asker};
use crate::tunnel::{self, Upgrading};
use crate::upgrade::{Handshake, Upgrade};
use crate::worker::Shared;

/// An answer of the gateway or of a plugin, through the response hooks.
pub(crate) async fn answer(
    worker: &Rc<Shared>,
    runs: &[Run],
    mut exchange: Box<Exchange>,
    answer: Answer,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    record.abandon_body();
    let mut body = answer.body;
    exchange.response.begin(answer.status, answer.headers, answer.origin);
    let outcome;
    (exchange, outcome) = response_hooks(worker, runs, exchange).await;
    if outcome.is_ok() {
        (exchange, body) = whole_body_hooks(worker, runs, exchange, body).await;
    }
    send_whole(worker, exchange, outcome, body, record)
}

/// An upstream's response, through the response hooks.
pub(crate) async fn forwarded(
    worker: &Rc<Shared>,
    runs: Vec<Run>,
    forwarded: Forwarded,
    upgrade: Option<Box<Upgrade>>,
    record: Box<Record>,
) -> Response<ResponseBody> {
    let mut exchange = record.exchange().await;
    let Forwarded { mut head, body } = forwarded;
    let switching = (head.status == StatusCode::SWITCHING_PROTOCOLS).then(|| head.headers.remove(header::UPGRADE));
    fields::via(&mut head.headers, head.version);
    exchange.response.begin(head.status, head.headers, Origin::Upstream);
    let outcome;
    (exchange, outcome) = response_hooks(worker, &runs, exchange).await;
    if outcome.is_err() {
        return send_whole(worker, exchange, outcome, Bytes::new(), record);
    }
    match (switching, upgrade.map(|upgrade| *upgrade)) {
        // To a CONNECT that would say that the tunnel stands.
        (None, Some(Upgrade { handshake: Some(_), .. })) if succeeded(&exchange) => {
            send_whole(worker, exchange, Err(ErrorKind::UpstreamFailed), Bytes::new(), record)
        }
        (None, _) => send_upstream(worker, runs, exchange, body, record).await,
        // A plugin took the upgrade back.
        (Some(_), _) if !switches(&exchange) => send_whole(worker, exchange, Ok(()), Bytes::new(), record),
        (Some(protocol), Some(Upgrade { client, protocol: wanted, handshake })) => {
            if handshake.as_ref().is_some_and(|handshake| !proven(handshake, &mut exchange)) {
                return send_whole(worker, exchange, Err(ErrorKind::UpstreamFailed), Bytes::new(), record);
            }
            let Some((upstream, in_flight)) = body.switch() else {
                return send_whole(worker, exchange, Err(ErrorKind::UpstreamFailed), Bytes::new(), record);
            };
            let head = leave(worker, &mut exchange, &record);
            record.seat.put(exchange);
            let protocol = protocol.unwrap_or(wanted);
            let by_connect = handshake.is_some();
            let upgrading = Upgrading { client, upstream, protocol, by_connect, in_flight };
            tunnel::open(worker, upgrading, head.headers, record)
        }
        // A protocol nobody asked for.
        (Some(_), None) => send_whole(worker, exchange, Err(ErrorKind::UpstreamFailed), Bytes::new(), record),
    }
}

fn switches(exchange: &Exchange) -> bool {
    exchange.response.head.as_ref().is_some_and(|head| head.status == StatusCode::SWITCHING_PROTOCOLS)
}

fn succeeded(exchange: &Exchange) -> bool {
    exchange.response.head.as_ref().is_some_and(|head| head.status.is_success())
}

fn proven(handshake: &Handshake, exchange: &mut Exchange) -> bool {
    exchange.response.head.as_mut().is_some_and(|head| handshake.is_proven(&mut head.headers))
}

/// What a failed hook means for its request.
pub(crate) fn plugin_error(error: &HookError, request: &RequestHead) -> ErrorKind {
    error.tell("request refused", request);
    match error.kind {
        HookErrorKind::Exhausted => ErrorKind::PluginBusy,
        _ => ErrorKind::PluginFailed,
    }
}

async fn response_hooks(
    worker: &Rc<Shared>,
    runs: &[Run],
    mut exchange: Box<Exchange>,
) -> (Box<Exchange>, Result<(), ErrorKind>) {
    for run in runs {
        let outcome;
        (exchange, outcome) = worker.plugins.on_response(run, exchange).await;
        if let Outcome::Failed(error) = outcome {
            let kind = plugin_error(&error, &exchange.request);
            return (exchange, Err(kind));
        }
    }
    (exchange, Ok(()))
}

/// Body hooks over a body that is here already.
async fn whole_body_hooks(
    worker: &Rc<Shared>,
    runs: &[Run],
    mut exchange: Box<Exchange>,
    mut body: Bytes,
) -> (Box<Exchange>, Bytes) {
    for run in runs {
        let wanted = match run.response_body() {
            BodyMode::Untouched => false,
            BodyMode::Streamed => true,
            BodyMode::Buffered(most) => body.len() as u64 <= most,
        };
        if wanted {
            let outcome;
            (exchange, outcome, body) = worker.plugins.on_response_body(run, exchange, body, true).await;
            if let Outcome::Failed(error) = outcome {
                // The head stands; without its body it must not look like a whole answer.
                let answer = respond::error(plugin_error(&error, &exchange.request), &exchange.request);
                exchange.response.begin(answer.status, answer.headers, answer.origin);
                return (exchange, answer.body);
            }
        }
    }
    (exchange, body)
}

async fn send_upstream(
    worker: &Rc<Shared>,
    runs: Vec<Run>,
    mut exchange: Box<Exchange>,
    body: Box<UpstreamBody>,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let wanting: Vec<Run> = runs.into_iter().filter(|run| run.response_body() != BodyMode::Untouched).collect();
    if wanting.is_empty() || exchange.request.method == http::Method::HEAD {
        let head = leave(worker, &mut exchange, &record);
        record.seat.put(exchange);
        record.answered(head.status);
        return respond::assembled(head.status, head.headers, ResponseBody::upstream(body, record));
    }
    let most = wanting.iter().filter_map(|run| match run.response_body() {
        BodyMode::Buffered(most) => Some(most),
        _ => None,
    });
    let Some(most) = most.min() else {
        return send_through_hooks(worker, wanting, exchange, body, record);
    };
    // Boxed: few responses are held back.
    Box::pin(send_held(worker, wanting, exchange, body, most, record)).await
}

/// A response that hooks want whole.
async fn send_held(
    worker: &Rc<Shared>,
    wanting: Vec<Run>,
    exchange: Box<Exchange>,
    mut body: Box<UpstreamBody>,
    most: u64,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    // In its seat meanwhile: a body hook of the request may want it, and so does the log if the
    // client goes away.
    record.seat.put(exchange);
    let held = buffered::hold(&mut body, worker, most).await;
    let mut exchange = record.exchange().await;
    match held {
        Held::Whole(whole, share) => {
            let left;
            (exchange, left) = whole_body_hooks(worker, &wanting, exchange, whole).await;
            send_whole(worker, exchange, Ok(()), share.of(left), record)
        }
        Held::TooLarge(front) => {
            let head = leave(worker, &mut exchange, &record);
            record.seat.put(exchange);
            record.answered(head.status);
            let piped = buffered::replay(Rc::clone(worker), front, body);
            respond::assembled(head.status, head.headers, ResponseBody::piped(piped, record))
        }
        Held::BrokeOff(kind) => send_whole(worker, exchange, Err(kind), Bytes::new(), record),
    }
}

/// The exchange stays in its seat: body hooks take it piece by piece.
fn send_through_hooks(
    worker: &Rc<Shared>,
    runs: Vec<Run>,
    mut exchange: Box<Exchange>,
    body: Box<UpstreamBody>,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let mut head = head_to_send(worker, &mut exchange, &record);
    // Hooks may change its length.
    head.headers.remove(header::CONTENT_LENGTH);
    exchange.response.sent = true;
    record.seat.put(exchange);
    record.answered(head.status);
    let piped = buffered::pipe_response(Rc::clone(worker), runs, Rc::clone(&record.seat), body);
    respond::assembled(head.status, head.headers, ResponseBody::piped(piped, record))
}

fn send_whole(
    worker: &Rc<Shared>,
    mut exchange: Box<Exchange>,
    outcome: Result<(), ErrorKind>,
    body: Bytes,
    record: Box<Record>,
) -> Response<ResponseBody> {
    let mut body = body;
    if let Err(kind) = outcome {
        worker.metrics.error(kind);
        let error = respond::error(kind, &exchange.request);
        exchange.response.begin(error.status, error.headers, error.origin);
        body = error.body;
    }
    let asker = Asker::of(&exchange.request);
    let head = leave(worker, &mut exchange, &record);
    record.seat.put(exchange);
    let answer = Answer { status: head.status, headers: head.headers, body, origin: head.origin };
    respond::send(answer, asker, record)
}

/// The head for the client; the exchange keeps only what the log needs.
fn leave(worker: &Shared, exchange: &mut Exchange, record: &Record) -> ResponseHead {
    let head = head_to_send(worker, exchange, record);
    exchange.let_go();
    head
}

fn head_to_send(worker: &Shared, exchange: &mut Exchange, record: &Record) -> ResponseHead {
    let mut head = exchange.response.head.take().unwrap_or_else(|| ResponseHead {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        headers: HeaderMap::new(),
        origin: Origin::Gateway,
    });
    head.headers.insert(fields::X_REQUEST_ID, exchange.request.id.clone());
    if record.is_last() {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if worker.config.latency_headers {
        let total = record.started().elapsed();
        if let Some(upstream) = record.upstream_duration() {
            head.headers.insert(UPSTREAM_LATENCY, milliseconds(upstream));
        }
        head.headers
            .insert(PROXY_LATENCY, milliseconds(total.saturating_sub(record.upstream_duration().unwrap_or_default())));
    }
    head
}

fn milliseconds(duration: Duration) -> HeaderValue {
    (duration.as_millis() as u64).into()
}

const UPSTREAM_LATENCY: HeaderName = HeaderName::from_static("x-tollgate-upstream-latency");
const PROXY_LATENCY: HeaderName = HeaderName::from_static("x-tollgate-proxy-latency");
