//! One client connection: which protocol it speaks, and HTTP/1.1.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::accept::Accepted;
use crate::admission::Ticket;
use crate::ending::ClientSocket;
use crate::fields;
use crate::framing::{Heads, Remembering};
use crate::head::HeadWatch;
use crate::http2;
use crate::intake::Ends;
use crate::metrics::ConnectionFault;
use crate::protocol::{self, Protocol};
use crate::service;
use crate::stall::StallGuard;
use crate::tls::{self, TlsServer};
use crate::worker::Shared;

/// Serves requests until the client closes, stays silent too long, or the worker drains.
pub(crate) async fn serve(worker: Rc<Shared>, accepted: Accepted, ticket: Ticket) {
    let Accepted { stream, peer, tls } = accepted;
    tune(&stream);
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends::new(peer, local, worker.config.trusts(peer.ip().to_canonical()));
    let stream = ClientSocket::new(stream, ends.ending.clone());
    match tls {
        None => plain(worker, stream, ends, ticket).await,
        // Boxed, as what follows: plain connections of HTTP/1.1 need not have room for it.
        Some(tls) => Box::pin(secured(worker, stream, ends, tls, ticket)).await,
    }
}

async fn plain(worker: Rc<Shared>, stream: ClientSocket, ends: Ends, ticket: Ticket) {
    let recognised = tokio::select! {
        biased;
        recognised = protocol::recognise(stream, worker.config.idle, worker.config.head) => recognised,
        () = drained(&worker) => return,
    };
    let Ok((protocol, stream)) = recognised else { return };
    match protocol {
        Protocol::Http1 => http1(worker, stream, ends, ticket).await,
        Protocol::Http2 => Box::pin(http2::serve(worker, stream, ends, ticket)).await,
    }
}

async fn secured(worker: Rc<Shared>, stream: ClientSocket, mut ends: Ends, tls: TlsServer, ticket: Ticket) {
    let accepted = tokio::select! {
        biased;
        accepted = tls.accept(stream) => accepted,
        () = drained(&worker) => return,
    };
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => {
            worker.metrics.connection_fault(ConnectionFault::Handshake);
            tracing::debug!(peer = %ends.peer, %error, "no TLS session");
            return;
        }
    };
    ends.scheme = "https";
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    ends.client_certificate = shown.map(|certificate| fields::client_certificate(certificate));
    match tls::agreed_on_http2(&stream) {
        true => Box::pin(http2::serve(worker, stream, ends, ticket)).await,
        false => http1(worker, stream, ends, ticket).await,
    }
}

async fn http1<T>(worker: Rc<Shared>, io: T, mut ends: Ends, ticket: Ticket)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = ends.peer;
    let heads = Heads::new(worker.config.head_size.saturating_mul(2));
    ends.heads = Some(heads.clone());
    let head = HeadWatch::default();
    let (served, begun, ends) = (Rc::clone(&worker), head.clone(), Rc::new(ends));
    let requests = service_fn(move |request| {
        begun.whole();
        service::handle(&served, &ends, request)
    });
    let io = TokioIo::new(Remembering::new(io, heads));
    let io = StallGuard::new(io, worker.config.idle, Some(head.clone()), ticket);
    let mut builder = http1::Builder::new();
    // Beyond this hyper answers by itself, without a word; up to it we can say what is wrong.
    builder.max_buf_size(worker.config.head_size.saturating_mul(2));
    if worker.config.header_count > HEADERS_ON_STACK {
        builder.max_headers(worker.config.header_count);
    }
    builder.timer(head.clone()).header_read_timeout(worker.config.idle);
    let mut connection = pin!(builder.serve_connection(io, requests).with_upgrades());
    let mut overdue = pin!(head.overdue(worker.config.idle, worker.config.head));
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        () = overdue.as_mut() => return tracing::debug!(%peer, "client connection ended, its time was over"),
        () = drained(&worker) => {
            // Idle for a while now: no request is under way on it.
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                outcome = connection => outcome,
                () = overdue => return,
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
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

/// A moment after the drain began. Until then requests that are on their way arrive and are answered
/// with `Connection: close`; a connection closed at once would have reset them.
pub(crate) async fn drained(worker: &Shared) {
    worker.draining().await;
    tokio::time::sleep(DRAIN_GRACE).await;
}

/// Fields that hyper takes without being told, and without memory of its own for them.
const HEADERS_ON_STACK: usize = 100;
const KEEPALIVE: Duration = Duration::from_secs(60);
const DRAIN_GRACE: Duration = Duration::from_millis(500);
