use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Records;
use super::behaviour::Behaviour;
use super::seen::{Seen, listed};

type Body = UnsyncBoxBody<Bytes, io::Error>;

pub(super) async fn answer(
    mut request: Request<Incoming>,
    records: &Arc<Records>,
    name: &str,
) -> Result<Response<Body>, io::Error> {
    let mut behaviour = Behaviour::of(request.headers());
    let mut seen = head_of(&request);
    if behaviour.flaky.is_some_and(|times| !records.misbehaves(&seen.target, times)) {
        (behaviour.status, behaviour.delay, behaviour.abort) = (None, std::time::Duration::ZERO, false);
    }
    if behaviour.abort {
        records.remember(seen);
        return Err(io::Error::other("aborted as told"));
    }
    let mut response = if request.headers().contains_key("sec-websocket-key") {
        records.remember(seen);
        websocket(&mut request)
    } else if behaviour.echo {
        records.remember(seen);
        Response::new(request.into_body().map_err(io::Error::other).boxed_unsync())
    } else if behaviour.eager {
        let records = Arc::clone(records);
        tokio::spawn(async move {
            read_body(&mut seen, request.into_body()).await;
            records.remember(seen);
        });
        Response::new(body_of(&behaviour, Bytes::from_static(b"eager")))
    } else {
        read_body(&mut seen, request.into_body()).await;
        let json = serde_json::to_vec(&seen).expect("texts and numbers are JSON");
        records.remember(seen);
        // tidy: sleep because a slow upstream is what is asked for
        tokio::time::sleep(behaviour.delay).await;
        let mut response = Response::new(body_of(&behaviour, json.into()));
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        response
    };
    adorn(&mut response, &behaviour, name);
    Ok(response)
}

fn head_of(request: &Request<Incoming>) -> Seen {
    Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        version: format!("{:?}", request.version()),
        headers: listed(request.headers()),
        ..Seen::default()
    }
}

async fn read_body(seen: &mut Seen, mut body: Incoming) {
    let mut digest = Sha256::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            seen.broken = true;
            break;
        };
        if let Some(data) = frame.data_ref() {
            seen.body_length += data.len() as u64;
            digest.update(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            seen.trailers = listed(trailers);
        }
    }
    seen.body_sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
}

fn adorn(response: &mut Response<Body>, behaviour: &Behaviour, name: &str) {
    if let Some(status) = behaviour.status {
        *response.status_mut() = StatusCode::from_u16(status).expect("x-origin: status is 100 to 999");
    }
    let headers = response.headers_mut();
    if !name.is_empty() {
        headers.insert("x-origin-name", name.parse().expect("a name fits in a field"));
    }
    for (name, value) in &behaviour.headers {
        let name: http::HeaderName = name.parse().expect("x-origin: header wants a field name");
        headers.append(name, value.parse().expect("x-origin: header wants a field value"));
    }
    if behaviour.trailers {
        headers.insert("trailer", HeaderValue::from_static("x-trailer"));
    }
}

fn body_of(behaviour: &Behaviour, usual: Bytes) -> Body {
    let Behaviour { size, chunks, gap, trailers, cut, .. } = *behaviour;
    if size.is_none() && chunks.is_none() && cut.is_none() && !trailers {
        return Full::new(usual).map_err(|never| match never {}).boxed_unsync();
    }
    let usual_size = if chunks.is_some() { None } else { Some(usual.len() as u64) };
    let mut pieces: Vec<Bytes> = match (size, chunks) {
        (None, Some(count)) => (0..count).map(|n| format!("line {n}\n").into()).collect(),
        (None, None) => vec![usual],
        (Some(size), count) => sized(size, count.unwrap_or(size.div_ceil(PIECE)).max(1)),
    };
    let length = if chunks.is_some() || trailers { None } else { size.or(usual_size) };
    let mut frames: Vec<Result<Frame<Bytes>, io::Error>> = Vec::new();
    if let Some(cut) = cut {
        pieces = shortened(pieces, cut);
    }
    frames.extend(pieces.into_iter().map(|piece| Ok(Frame::data(piece))));
    if cut.is_some() {
        frames.push(Err(io::Error::other("cut as told")));
    } else if trailers {
        let mut fields = HeaderMap::new();
        fields.insert("x-trailer", HeaderValue::from_static("from-origin"));
        frames.push(Ok(Frame::trailers(fields)));
    }
    let paced = stream::iter(frames.into_iter().enumerate()).then(move |(number, frame)| async move {
        // What came before a cut has to be on its way: hyper drops what it has not flushed.
        let pause = if frame.is_err() { gap.max(FLUSHED) } else { gap };
        if number > 0 && !pause.is_zero() {
            // tidy: sleep because a slow upstream is what is asked for
            tokio::time::sleep(pause).await;
        }
        frame
    });
    match length {
        Some(length) => Sized { stream: Box::pin(paced), length }.boxed_unsync(),
        None => StreamBody::new(paced).boxed_unsync(),
    }
}

fn sized(size: u64, count: u64) -> Vec<Bytes> {
    let piece = Bytes::from(vec![b'x'; size.div_ceil(count) as usize]);
    let mut left = size;
    let mut pieces = Vec::new();
    while left > 0 {
        let length = left.min(piece.len() as u64);
        pieces.push(piece.slice(..length as usize));
        left -= length;
    }
    pieces
}

fn shortened(pieces: Vec<Bytes>, most: u64) -> Vec<Bytes> {
    let mut left = most as usize;
    let cut = pieces.into_iter().map(|piece| {
        let kept = piece.slice(..piece.len().min(left));
        left -= kept.len();
        kept
    });
    cut.filter(|piece| !piece.is_empty()).collect()
}

/// A stream of a length that is known, so that it is sent with Content-Length.
struct Sized<S> {
    stream: std::pin::Pin<Box<S>>,
    length: u64,
}

impl<S: Stream<Item = Result<Frame<Bytes>, io::Error>>> http_body::Body for Sized<S> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.stream.as_mut().poll_next(context)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.length)
    }
}

fn websocket(request: &mut Request<Incoming>) -> Response<Body> {
    let key = request.headers().get("sec-websocket-key").map(|key| derive_accept_key(key.as_bytes()));
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let (mut sink, mut messages) = socket.split();
        while let Some(Ok(message)) = messages.next().await {
            if (message.is_text() || message.is_binary()) && sink.send(message).await.is_err() {
                break;
            }
        }
    });
    let mut response = Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    if let Some(key) = key {
        headers.insert("sec-websocket-accept", key.parse().expect("base64 fits in a field"));
    }
    response
}

/// Bytes of a body's piece where nothing else is said.
const PIECE: u64 = 16 << 10;
const FLUSHED: std::time::Duration = std::time::Duration::from_millis(20);
