//! gRPC without its libraries: messages of bytes in frames of their own, over HTTP/2.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::channel::Channel;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A server, in clear. `/test/Unary` answers one message with itself, `/test/Count` with as many as its
/// first byte says, `/test/Chat` each one as it comes, `/test/Fail` with an error in the trailers,
/// `/test/Refuse` with an error and nothing else.
#[derive(Debug)]
pub struct GrpcServer {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A connection.
#[derive(Debug)]
pub struct GrpcClient {
    sender: SendRequest<Channel<Bytes, Infallible>>,
    address: SocketAddr,
}

/// A call under way, open in both directions.
#[derive(Debug)]
pub struct GrpcCall {
    messages: Option<http_body_util::channel::Sender<Bytes, Infallible>>,
    body: Incoming,
    read: BytesMut,
    /// Of the response's head.
    pub headers: HeaderMap,
    trailers: Option<HeaderMap>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl GrpcServer {
    pub fn start() -> GrpcServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        GrpcServer { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the gRPC server panicked, see above");
        }
    }
}

impl GrpcClient {
    pub async fn open(address: SocketAddr) -> GrpcClient {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        let _ = stream.set_nodelay(true);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.expect("HTTP/2");
        tokio::spawn(connection);
        GrpcClient { sender, address }
    }

    /// Starts a call with its first message; returns once the head of the response is there.
    pub async fn call(&mut self, method: &str, first: &[u8]) -> GrpcCall {
        let (mut messages, body) = Channel::new(16);
        let request = Request::post(format!("http://{}{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
            .expect("the test's request is valid");
        messages.send_data(framed(first)).await.expect("there is room");
        let response = timeout(PATIENCE, self.sender.send_request(request)).await.expect("a head in time");
        let (head, body) = response.expect("a response").into_parts();
        assert_eq!(head.status, 200, "gRPC tells errors in trailers");
        GrpcCall { messages: Some(messages), body, read: BytesMut::new(), headers: head.headers, trailers: None }
    }
}

impl GrpcCall {
    pub async fn send(&mut self, message: &[u8]) {
        let messages = self.messages.as_mut().expect("the call was not closed");
        messages.send_data(framed(message)).await.expect("the call is open");
    }

    /// No more messages of ours.
    pub fn close(&mut self) {
        self.messages = None;
    }

    /// The next message of theirs; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = unframed(&mut self.read) {
                return Some(message);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("a message in time")?;
            match frame.expect("the response does not break off").into_data() {
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// Code and message, once the call is over.
    pub async fn status(mut self) -> (u32, String) {
        self.close();
        while self.next().await.is_some() {}
        let fields = self.trailers.as_ref().unwrap_or(&self.headers);
        let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        (text("grpc-status").parse().expect("a grpc-status"), text("grpc-message"))
    }
}

async fn serve(listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>) -> Response<Body> {
    assert_eq!(request.headers().get("te").map(HeaderValue::as_bytes), Some(&b"trailers"[..]), "gRPC asks for it");
    let method = request.uri().path().to_owned();
    let response = Response::builder().header("content-type", "application/grpc");
    if method == "/test/Refuse" {
        let response = response.header("grpc-status", "7").header("grpc-message", "not for you");
        return response.body(Empty::new().boxed_unsync()).expect("a response");
    }
    let (frames, sent) = mpsc::channel::<Frame<Bytes>>(16);
    tokio::spawn(converse(method, request.into_body(), frames));
    let stream = futures_util::stream::unfold(sent, |mut sent| async move { Some((Ok(sent.recv().await?), sent)) });
    response.body(StreamBody::new(stream).boxed_unsync()).expect("a response")
}

async fn converse(method: String, mut body: Incoming, frames: mpsc::Sender<Frame<Bytes>>) {
    let mut read = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        read.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        while let Some(message) = unframed(&mut read) {
            let times = if method == "/test/Count" { message.first().copied().unwrap_or_default() } else { 1 };
            for _ in 0..times {
                let _ = frames.send(Frame::data(framed(&message))).await;
            }
        }
        if method == "/test/Fail" {
            break;
        }
    }
    let (code, text) = if method == "/test/Fail" { ("9", "as told") } else { ("0", "") };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers.insert("grpc-message", HeaderValue::from_static(text));
    let _ = frames.send(Frame::trailers(trailers)).await;
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

fn unframed(read: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(read.get(1..5)?.try_into().ok()?) as usize;
    if read.len() < length + 5 {
        return None;
    }
    read.advance(5);
    Some(read.split_to(length).freeze())
}

const PATIENCE: Duration = Duration::from_secs(30);
