//! One client connection.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::admission::Ticket;
use crate::head::HeadTimer;
use crate::intake::Ends;
use crate::service;
use crate::stall::StallGuard;
use crate::worker::Shared;

/// Serves requests until the client closes, stays silent too long, or the worker drains.
pub(crate) async fn serve(worker: Rc<Shared>, stream: TcpStream, peer: SocketAddr, ticket: Ticket) {
    tune(&stream);
    let Ok(local) = stream.local_addr() else { return };
    let ends = Rc::new(Ends::new(peer, local, worker.config.trusts(peer.ip().to_canonical())));
    let served = Rc::clone(&worker);
    let requests = service_fn(move |request| {
        let (worker, ends) = (Rc::clone(&served), Rc::clone(&ends));
        // Boxed: hyper keeps room for this future as long as the connection lives, and an idle connection has no
        // use for the many KiB of a request's story.
        Box::pin(async move { Ok::<_, std::convert::Infallible>(service::handle(worker, ends, request).await) })
    });
    let head = HeadTimer::new(worker.config.head);
    let io = StallGuard::new(TokioIo::new(stream), worker.config.idle, head.clone(), ticket);
    let connection = http1::Builder::new()
        .timer(head)
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
async fn drained(worker: &Shared) {
    worker.draining().await;
    tokio::time::sleep(DRAIN_GRACE).await;
}

const KEEPALIVE: Duration = Duration::from_secs(60);
const DRAIN_GRACE: Duration = Duration::from_millis(500);
