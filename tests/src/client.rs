//! Plain HTTP/1.1 calls.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Seen;

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

pub fn get(target: &str) -> Call {
    Call::new(Method::GET, target)
}

pub fn post(target: &str, body: impl Into<Bytes>) -> Call {
    Call { body: body.into(), ..Call::new(Method::POST, target) }
}

pub fn delete(target: &str) -> Call {
    Call::new(Method::DELETE, target)
}

impl Call {
    pub fn new(method: Method, target: &str) -> Call {
        Call { method, target: target.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    /// Adds a field. `Host` is the address that the request goes to, unless it is set.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Call {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Call {
        self.body = body.into();
        self
    }

    /// What the [`Origin`](crate::Origin) is to do, such as `delay=100 size=5`.
    pub fn origin(self, behaviour: &str) -> Call {
        self.header(crate::origin::BEHAVIOUR, behaviour)
    }

    /// On a connection of its own.
    pub async fn send(self, address: SocketAddr) -> Reply {
        let shown = format!("{} {}", self.method, self.target);
        self.try_send(address).await.unwrap_or_else(|error| panic!("{shown} to {address}: {error}"))
    }

    pub async fn try_send(self, address: SocketAddr) -> Result<Reply, String> {
        Connection::open(address).await?.send(self).await
    }

    fn request(self, address: SocketAddr) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method).uri(self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", address.to_string());
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body)).expect("the test's request is valid")
    }

    /// With the address as its authority, unless `Host` is set.
    pub(crate) fn http2_request(self, address: SocketAddr) -> Request<Bytes> {
        let host = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let authority = host.map_or(address.to_string(), |(_, host)| host.clone());
        let mut request = Request::builder().method(self.method).uri(format!("http://{authority}{}", self.target));
        for (name, value) in self.headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
            request = request.header(name, value);
        }
        request.body(self.body).expect("the test's request is valid")
    }
}

/// A keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Connection, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| shown(&error))?;
        // Errors of the connection show up in the calls on it.
        tokio::spawn(connection);
        Ok(Connection { address, sender })
    }

    /// Fails when the connection breaks before the whole answer was there.
    pub async fn send(&mut self, call: Call) -> Result<Reply, String> {
        let exchange = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(call.request(self.address)).await?.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes(), trailers })
        };
        match timeout(PATIENCE, exchange).await {
            Ok(result) => result.map_err(|error: hyper::Error| shown(&error)),
            Err(_) => Err(format!("no answer within {PATIENCE:?}")),
        }
    }

    /// Another request could be sent on it.
    pub async fn alive(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    /// First value of the field; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// What the [`Origin`](crate::Origin) saw of the request that this answers.
    pub fn seen(&self) -> Seen {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not the origin's answer ({error}): {self:?}"))
    }
}

/// With its causes.
pub(crate) fn shown(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

const PATIENCE: Duration = Duration::from_secs(60);
