use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::ProxyConfig;
use crate::error::ErrorKind;
use crate::framing::{Heads, Remembering, UNSEEN};
use crate::intake::{Ends, RequestIds, take_in};

/// What a client sends is taken for the same requests however its bytes are cut into reads, and nothing that is
/// ambiguous (RFC 9112, 6.1 and 6.3) is taken at all.
///
/// The first byte is the size of the pieces.
pub fn http1(data: &[u8]) {
    let [size, bytes @ ..] = data else { return };
    let whole = requests(vec![bytes]);
    let cut = requests(bytes.chunks(usize::from(*size) + 1).collect());
    for requests in [&whole, &cut] {
        if let Some(first) = requests.first() {
            first.is_as_sent(bytes);
        }
    }
    for (whole, cut) in whole.iter().zip(&cut) {
        // What stands behind a chunked body in one read may have been missed (see `framing`).
        if [whole, cut].iter().any(|request| request.outcome == Err(UNSEEN) || request.after_chunked) {
            return;
        }
        assert_eq!(whole, cut, "in pieces of {}", usize::from(*size) + 1);
    }
    assert_eq!(whole.len(), cut.len(), "in pieces of {}", usize::from(*size) + 1);
}

#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    chunked: bool,
    /// A chunked request came before it on the connection.
    after_chunked: bool,
    outcome: Result<(), ErrorKind>,
    /// `None` when it broke off.
    body: Option<Bytes>,
}

impl Seen {
    /// Against the bytes themselves, of which it is the first request.
    fn is_as_sent(&self, bytes: &[u8]) {
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).expect("there is a request");
        let (mut length, mut coding, mut bare) = (false, 0, false);
        for line in bytes[start..].split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\r\n") else {
                bare = true;
                if line == b"\n" {
                    break;
                }
                continue;
            };
            if text.is_empty() {
                break;
            }
            let name = text.split(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
            length |= name == b"content-length";
            coding += usize::from(name == b"transfer-encoding");
        }
        if self.outcome.is_ok() {
            assert!(!bare, "a line of the head had no CR");
            assert!(coding == 0 || (coding == 1 && self.chunked && !length), "two ways to tell where the body ends");
        }
    }
}

/// As a connection is served (`connection`, `service`), with nothing behind it.
fn requests(pieces: Vec<&[u8]>) -> Vec<Seen> {
    let config = Rc::new(ProxyConfig { head_size: 8 << 10, ..ProxyConfig::default() });
    let most = config.head_size * 2;
    let heads = Heads::new(most);
    let ends = Ends::new(([192, 0, 2, 1], 4000).into(), ([192, 0, 2, 2], 80).into(), false);
    let (ends, ids, seen) = (Rc::new(ends), Rc::new(RequestIds::new()), Rc::new(RefCell::new(Vec::new())));
    let after_chunked = Rc::new(Cell::new(false));
    let requests = service_fn(|request: Request<Incoming>| {
        let (heads, ends, ids, config) = (heads.clone(), Rc::clone(&ends), Rc::clone(&ids), Rc::clone(&config));
        let (seen, after_chunked) = (Rc::clone(&seen), Rc::clone(&after_chunked));
        async move {
            let framed = heads.check(request.method(), request.headers());
            let (parts, body) = request.into_parts();
            let chunked = parts.headers.contains_key(header::TRANSFER_ENCODING);
            let after_chunked = after_chunked.replace(after_chunked.get() || chunked);
            let (method, target) = (parts.method.to_string(), parts.uri.to_string());
            let (_, taken_in) = take_in(parts, &ends, &config, &ids);
            let outcome = framed.and(taken_in);
            let body = body.collect().await.ok().map(|body| body.to_bytes());
            seen.borrow_mut().push(Seen { method, target, chunked, after_chunked, outcome, body });
            heads.over();
            let mut response = Response::new(Empty::<Bytes>::new());
            if framed.is_err() {
                response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(Bytes::copy_from_slice).collect();
    let io = TokioIo::new(Remembering::new(Pieces(pieces), heads.clone()));
    // How it ends is hyper's to say; what matters is what was taken for a request.
    let _ = run(http1::Builder::new().max_buf_size(most).serve_connection(io, requests));
    seen.take()
}

/// Runs what waits for nobody.
pub(super) fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    runtime.block_on(future)
}

/// A client that has sent all of this, a piece a read, and takes whatever comes.
struct Pieces(VecDeque<Bytes>);

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(piece) = self.0.front_mut() {
            into.put_slice(&piece.split_to(piece.len().min(into.remaining())));
            if piece.is_empty() {
                self.0.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
