//! A client's HTTP/2 connection.

mod budget;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod frames;
mod guard;
mod stream;

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::admission::Ticket;
use crate::config::ProxyConfig;
use crate::connection::drained;
use crate::drain::OpenCount;
use crate::intake::Ends;
use crate::metrics::ConnectionFault;
use crate::service;
use crate::stall::StallGuard;
use crate::worker::Shared;
use guard::FrameGuard;
use stream::{Delivered, Streams};

/// Serves requests until the client closes, has no stream open for too long, floods us, or the
/// worker drains. Then it is told GOAWAY, and what it sent before is still answered.
pub(crate) async fn serve<T>(worker: Rc<Shared>, io: T, mut ends: Ends, ticket: Ticket)
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let open = OpenCount::default();
    ends.streams = Some(open.clone());
    let ends = Rc::new(ends);
    let peer = ends.peer;
    let streams = Streams::new(worker.config.idle);
    let (served, begun) = (Rc::clone(&worker), streams.clone());
    let requests = service_fn(move |request| {
        let delivery = begun.begin();
        let story = service::handle(&served, &ends, request);
        async move { Ok::<_, Infallible>(story.await?.map(|body| Delivered::new(body, delivery))) }
    });
    let io = TokioIo::new(FrameGuard::new(io, worker.config.head));
    let io = StallGuard::new(io, worker.config.idle, None, ticket);
    let mut connection = pin!(builder(&worker.config, streams).serve_connection(io, requests));
    let mut draining = pin!(async {
        tokio::select! {
            () = drained(&worker) => {}
            () = idled(&open, worker.config.idle) => {}
        }
    });
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        () = draining.as_mut() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => outcome,
                () = worker.closing() => return,
                // Everything is answered, and the client had time to hear the goodbye.
                () = idled(&open, GOODBYE) => return,
            }
        }
    };
    if let Err(error) = outcome {
        if guard::is_flood(&error) {
            worker.metrics.connection_fault(ConnectionFault::Flood);
        }
        tracing::debug!(%peer, %error, "client connection ended");
    }
}

fn builder(config: &ProxyConfig, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.http2_streams)
        .max_header_list_size(config.head_size.try_into().unwrap_or(u32::MAX))
        // What a client may send before the upstream took it, of one stream and of all.
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        // Rapid reset (CVE-2023-44487), and resets that clients provoke (CVE-2025-8671).
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(PROVOKED_RESETS)
        // Peers that vanished without a word are found.
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .enable_connect_protocol();
    builder
}

/// Done once no stream was open for so long, from now on.
async fn idled(open: &OpenCount, patience: Duration) {
    let now = Instant::now();
    loop {
        open.emptied().await;
        let since = open.emptied_at().map_or(now, |at| at.max(now));
        if open.count() == 0 && since.elapsed() >= patience {
            return;
        }
        tokio::time::sleep_until(since + patience).await;
    }
}

const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
const SEND_BUFFER: usize = 64 << 10;
const PENDING_RESETS: usize = 20;
const PROVOKED_RESETS: usize = 256;
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const GOODBYE: Duration = Duration::from_secs(2);
