//! Plain HTTP/2 calls, by prior knowledge.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::client::shown;
use crate::{Call, Reply};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A connection for many calls at once; clones share it.
#[derive(Clone, Debug)]
pub struct Http2 {
    address: SocketAddr,
    sender: http2::SendRequest<Body>,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Unanswered {
    /// The request was not taken: it may be sent elsewhere.
    pub untouched: bool,
    pub detail: String,
}

impl Http2 {
    pub async fn open(address: SocketAddr) -> Result<Http2, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| shown(&error))?;
        // Errors of the connection show up in the calls on it.
        tokio::spawn(connection);
        Ok(Http2 { address, sender })
    }

    pub async fn send(&mut self, call: Call) -> Result<Reply, String> {
        self.try_send(call).await.map_err(|unanswered| unanswered.detail)
    }

    pub async fn try_send(&mut self, call: Call) -> Result<Reply, Unanswered> {
        let request = call.http2_request(self.address).map(|body| Full::new(body).boxed_unsync());
        self.exchange(request).await
    }

    /// Sends a body of unknown length with trailers behind it.
    pub async fn send_with_trailers(&mut self, call: Call, trailers: HeaderMap) -> Result<Reply, String> {
        let request = call.http2_request(self.address);
        let frames = |body| stream::iter([Ok(Frame::data(body)), Ok(Frame::trailers(trailers))]);
        let request = request.map(|body| StreamBody::new(frames(body)).boxed_unsync());
        self.exchange(request).await.map_err(|unanswered| unanswered.detail)
    }

    /// A WebSocket on a stream of its own (RFC 8441); otherwise the status that it was refused with.
    pub async fn websocket(&mut self, call: Call) -> Result<WebSocketStream<TokioIo<Upgraded>>, u16> {
        let mut request =
            call.header("sec-websocket-version", "13").http2_request(self.address).map(|_| Empty::new().boxed_unsync());
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        self.sender.ready().await.expect("a connection");
        let response = self.sender.send_request(request).await.expect("an answer");
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        let upgraded = hyper::upgrade::on(response).await.expect("a stream for bytes");
        Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    async fn exchange(&mut self, request: Request<Body>) -> Result<Reply, Unanswered> {
        let unanswered = |error: hyper::Error| Unanswered { untouched: error.is_canceled(), detail: shown(&error) };
        let exchange = async {
            self.sender.ready().await.map_err(|error| Unanswered { untouched: true, detail: shown(&error) })?;
            let response = self.sender.try_send_request(request).await.map_err(|mut error| Unanswered {
                untouched: error.take_message().is_some() || is_refused(error.error()),
                detail: shown(error.error()),
            })?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(unanswered)?;
            let trailers = body.trailers().cloned();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes(), trailers })
        };
        match timeout(PATIENCE, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Unanswered { untouched: false, detail: format!("no answer within {PATIENCE:?}") }),
        }
    }
}

/// The server said that it did nothing with it: by REFUSED_STREAM, or by a GOAWAY that leaves it out.
fn is_refused(error: &hyper::Error) -> bool {
    let text = shown(error);
    error.is_canceled() || text.contains("refused stream") || text.contains("not a result of an error")
}

const PATIENCE: Duration = Duration::from_secs(60);
