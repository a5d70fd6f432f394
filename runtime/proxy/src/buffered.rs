//! Bodies that hooks want to see: held back whole, or piece by piece.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tollgate_plugin_host::{Outcome, Run};

use crate::body::{BodyError, PieceSender, PipedBody, Progress, RequestBody, UpstreamBody, piped};
use crate::error::ErrorKind;
use crate::held::{HeldBodies, Share};
use crate::record::Seat;
use crate::timer::within;
use crate::worker::Shared;

/// A client's whole body, up to `most` bytes, and its share of all that are held.
pub(crate) async fn collect(
    mut incoming: Incoming,
    progress: &Progress,
    most: u64,
    idle: std::time::Duration,
    held: &Arc<HeldBodies>,
) -> Result<(Bytes, Share), ErrorKind> {
    let (mut whole, mut share) = (BytesMut::new(), held.share());
    loop {
        progress.await_more();
        let frame = within(idle, incoming.frame()).await.map_err(|_| ErrorKind::ClientTimeout)?;
        match progress.note(frame, &incoming) {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if (whole.len() + data.len()) as u64 > most {
                    return Err(ErrorKind::BodyTooLarge);
                }
                share.grow(data.len())?;
                whole.extend_from_slice(&data);
            }
            Some(Err(BodyError(kind))) => return Err(kind),
            None => return Ok((whole.freeze(), share)),
        }
    }
}

/// What came of holding an upstream's body back.
pub(crate) enum Held {
    Whole(Bytes, Share),
    /// It was larger: what was read already, and the rest to come.
    TooLarge(Bytes),
    BrokeOff(ErrorKind),
}

/// An upstream's body, up to `most` bytes.
pub(crate) async fn hold(body: &mut UpstreamBody, worker: &Shared, most: u64) -> Held {
    let (mut whole, mut share) = (BytesMut::new(), worker.held.share());
    loop {
        match std::future::poll_fn(|context| body.poll_next(context, &worker.pool)).await {
            Some(Ok(frame)) => {
                // Trailers of a body that hooks rewrite would speak of another one.
                let data: &[u8] = frame.data_ref().map_or(&[], |data| data);
                if let Err(kind) = share.grow(data.len()) {
                    return Held::BrokeOff(kind);
                }
                whole.extend_from_slice(data);
            }
            Some(Err(BodyError(kind))) => return Held::BrokeOff(kind),
            None => return Held::Whole(whole.freeze(), share),
        }
        if whole.len() as u64 > most {
            return Held::TooLarge(share.of(whole.freeze()));
        }
    }
}

/// Sends a client's body through the hooks, piece by piece, on a task of its own.
pub(crate) fn pipe_request(
    worker: Rc<Shared>,
    runs: Vec<Run>,
    seat: Rc<Seat>,
    mut incoming: Incoming,
    progress: Rc<Progress>,
) -> RequestBody {
    let (pieces, piped) = piped();
    tokio::task::spawn_local(async move {
        loop {
            progress.await_more();
            let next = tokio::select! {
                biased;
                () = pieces.closed() => return,
                next = incoming.frame() => next,
            };
            let (mut data, trailers, end) = match progress.note(next, &incoming) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => (data, None, false),
                    Err(trailers) => (Bytes::new(), Some(trailers), true),
                },
                Some(Err(error)) => {
                    return pieces.break_off(error).await;
                }
                None => (Bytes::new(), None, true),
            };
            for run in &runs {
                let Some(exchange) = seat.take().await else { return };
                let (exchange, outcome, left) = worker.plugins.on_request_body(run, exchange, data, end).await;
                if let Outcome::Failed(error) = &outcome {
                    error.tell("body cut off", &exchange.request);
                }
                seat.put(exchange);
                data = left;
                if !matches!(outcome, Outcome::Continue) {
                    progress.fail(ErrorKind::PluginFailed);
                    return pieces.break_off(BodyError(ErrorKind::PluginFailed)).await;
                }
            }
            if !passed_on(&pieces, data, trailers).await {
                return;
            }
            if end {
                return pieces.end().await;
            }
        }
    });
    RequestBody::Piped(piped)
}

/// As [`pipe_request`], for an upstream's body.
pub(crate) fn pipe_response(
    worker: Rc<Shared>,
    runs: Vec<Run>,
    seat: Rc<Seat>,
    mut body: Box<UpstreamBody>,
) -> PipedBody {
    let (pieces, piped) = piped();
    tokio::task::spawn_local(async move {
        loop {
            let next = tokio::select! {
                biased;
                () = pieces.closed() => return,
                next = std::future::poll_fn(|context| body.poll_next(context, &worker.pool)) => next,
            };
            let (mut data, trailers, end) = match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => (data, None, false),
                    Err(trailers) => (Bytes::new(), Some(trailers), true),
                },
                Some(Err(error)) => {
                    return pieces.break_off(error).await;
                }
                None => (Bytes::new(), None, true),
            };
            for run in &runs {
                let Some(exchange) = seat.take().await else { return };
                let (exchange, outcome, left) = worker.plugins.on_response_body(run, exchange, data, end).await;
                if let Outcome::Failed(error) = &outcome {
                    error.tell("body cut off", &exchange.request);
                }
                seat.put(exchange);
                data = left;
                if !matches!(outcome, Outcome::Continue) {
                    return pieces.break_off(BodyError(ErrorKind::PluginFailed)).await;
                }
            }
            if !passed_on(&pieces, data, trailers).await {
                return;
            }
            if end {
                return pieces.end().await;
            }
        }
    });
    piped
}

/// What was read already, then the rest of the body as it comes.
pub(crate) fn replay(worker: Rc<Shared>, front: Bytes, mut body: Box<UpstreamBody>) -> PipedBody {
    let (pieces, piped) = piped();
    tokio::task::spawn_local(async move {
        if !pieces.send(Frame::data(front)).await {
            return;
        }
        loop {
            let next = tokio::select! {
                biased;
                () = pieces.closed() => return,
                next = std::future::poll_fn(|context| body.poll_next(context, &worker.pool)) => next,
            };
            match next {
                Some(Ok(frame)) => {
                    if !pieces.send(frame).await {
                        return;
                    }
                }
                Some(Err(error)) => return pieces.break_off(error).await,
                None => return pieces.end().await,
            }
        }
    });
    piped
}

/// False when nobody reads any more.
async fn passed_on(pieces: &PieceSender, data: Bytes, trailers: Option<Frame<Bytes>>) -> bool {
    let sent = data.is_empty() || pieces.send(Frame::data(data)).await;
    match trailers {
        Some(trailers) if sent => pieces.send(trailers).await,
        _ => sent,
    }
}

/// Reads what is left of a small body, so that its connection can be kept after an early answer.
/// False when it can't: there is more, it comes slowly, or the client waits to be asked for it.
pub(crate) async fn discard(mut incoming: Incoming, expects_continue: bool) -> bool {
    if http_body::Body::is_end_stream(&incoming) {
        return true;
    }
    if expects_continue {
        return false;
    }
    let all = async {
        let mut size = 0;
        while let Some(Ok(frame)) = incoming.frame().await {
            size += frame.data_ref().map_or(0, Bytes::len);
            if size > DISCARDED {
                return false;
            }
        }
        http_body::Body::is_end_stream(&incoming)
    };
    within(DISCARD_TIME, all).await.unwrap_or(false)
}

/// The same of an upstream's response that nobody gets; its connection goes back to the pool.
pub(crate) async fn discard_response(mut body: Box<UpstreamBody>, worker: &Shared) {
    let all = async {
        let mut size = 0;
        while let Some(Ok(frame)) = std::future::poll_fn(|context| body.poll_next(context, &worker.pool)).await {
            size += frame.data_ref().map_or(0, Bytes::len);
            if size > DISCARDED {
                break;
            }
        }
    };
    let _ = within(DISCARD_TIME, all).await;
}

/// Of an unwanted body: read for so long, up to so much.
const DISCARD_TIME: std::time::Duration = std::time::Duration::from_millis(200);
const DISCARDED: usize = 256 << 10;
