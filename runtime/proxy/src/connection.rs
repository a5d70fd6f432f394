//! One client connection: which protocol it speaks, and HTTP/1.1.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::http2;
use crate::intake::Ends;
use crate::protocol::{self, Protocol};
use crate::service;
use crate::stall::StallGuard;
use crate::timer::within;
use crate::worker::Shared;

/// Serves requests until the client closes, stays silent too long, or the worker drains.
pub(crate) async fn serve(worker: Rc<Shared>, stream: TcpStream, peer: SocketAddr) {
    tune(&stream);
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends::new(peer, local, worker.config.trusts(peer.ip().to_canonical()));
    let recognised = tokio::select! {
        biased;
        recognised = within(worker.config.idle, protocol::recognise(stream)) => recognised,
        () = drained(&worker) => return,
    };
    let Ok(Ok((protocol, stream))) = recognised else { return };
    match protocol {
        Protocol::Http1 => http1(worker, stream, ends).await,
        // Boxed: connections of HTTP/1.1 need not have room for it.
        Protocol::Http2 => Box::pin(http2::serve(worker, stream, ends)).await,
    }
}

async fn http1<T>(worker: Rc<Shared>, io: T, ends: Ends)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = ends.peer;
    let (served, ends) = (Rc::clone(&worker), Rc::new(ends));
    let requests = service_fn(move |request| {
        let (worker, ends) = (Rc::clone(&served), Rc::clone(&ends));
        async move { Ok::<_, std::convert::Infallible>(service::handle(worker, ends, request).await) }
    });
    let io = StallGuard::new(TokioIo::new(io), worker.config.idle);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(worker.config.idle)
        // Beyond these hyper answers by itself, without a word; up to them we can say what is wrong.
        .max_buf_size(worker.config.head_size.saturating_mul(2))
        .max_headers(worker.config.header_count.saturating_mul(2))
        .serve_connection(io, requests)
        .with_upgrades();
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        () = drained(&worker) => {
            // Idle for a while now: no request is under way on it.
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => outcome,
                () = worker.closing() => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "client connection ended");
    }
}

/// Latency over packet count: heads and small bodies go out at once. And peers that vanished without
/// a word are found, tunnels' among them.
pub(crate) fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

/// A moment after the drain began. Until then requests that are on their way arrive and are answered
/// with `Connection: close`; a connection closed at once would have reset them.
pub(crate) async fn drained(worker: &Shared) {
    worker.draining().await;
    tokio::time::sleep(DRAIN_GRACE).await;
}

const KEEPALIVE: Duration = Duration::from_secs(60);
const DRAIN_GRACE: Duration = Duration::from_millis(500);
