//! One client connection.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::intake::Ends;
use crate::service;
use crate::worker::Shared;

/// Serves requests until the client closes, stays silent too long, or the worker drains.
pub(crate) async fn serve(
    worker: Rc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    mut draining: watch::Receiver<bool>,
) {
    // Latency over packet count: heads and small bodies go out at once.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends { peer, local, trusted: worker.config.trusts(peer.ip().to_canonical()) };
    let served = Rc::clone(&worker);
    let requests = service_fn(move |request| {
        let worker = Rc::clone(&served);
        async move { Ok::<_, std::convert::Infallible>(service::handle(worker, ends, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(worker.config.idle)
        // Beyond these hyper answers by itself, without a word; up to them we can say what is wrong.
        .max_buf_size(worker.config.head_size.saturating_mul(2))
        .max_headers(worker.config.header_count.saturating_mul(2))
        .serve_connection(TokioIo::new(stream), requests)
        .with_upgrades();
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        _ = draining.wait_for(|draining| *draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "client connection ended");
    }
}
