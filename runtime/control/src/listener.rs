//! Serves HTTP/1.1 on a listener until told to stop.
//!
//! Kept apart from axum's own serving for its bounds: these listeners live in the process that serves
//! traffic, and whoever reaches one must not be able to take the process's descriptors or delay its
//! end.

use std::future::ready;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::map_response;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Runs until `shutdown`, then lets the requests in progress end. Fails only before it serves.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let (stop, stopping) = watch::channel(());
    let told = stopping.clone();
    let router = router.layer(map_response(move |response| ready(last_one(&told, response))));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            stream = accept(&listener), if connections.len() < MOST_CONNECTIONS => {
                connections.spawn(connection(stream, router.clone(), stopping.clone()));
            }
        }
    }
    drop(listener);
    drop(stop);
    // Connections that take longer end with the set.
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// More than these wait to be accepted.
const MOST_CONNECTIONS: usize = 256;

/// For a request's head, and for the next request on an open connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// From the shutdown on, for requests in progress.
const GRACE: Duration = Duration::from_secs(2);

/// A client that is told so sends nothing more on a connection that is about to be closed.
fn last_one(stopping: &watch::Receiver<()>, mut response: Response) -> Response {
    if stopping.has_changed().is_err() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors or memory, most likely: trying on at once would only spin.
                tracing::warn!(%error, "a control listener can't accept");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// From the shutdown on, for requests that are on their way: closed at once, a connection would reset them.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

async fn connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<()>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // Nothing is ever sent: the sender goes away when it is time to stop.
        _ = stopping.changed() => match timeout(LAST_REQUESTS, connection.as_mut()).await {
            Ok(ended) => ended,
            Err(_) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to a control listener broke off");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use axum::routing::get;

    use super::*;
    use crate::testing::{Running, read_answer};

    fn start() -> Running {
        let router = Router::new().route("/", get(async || "here"));
        Running::start(|listener, shutdown| serve(listener, router, shutdown))
    }

    #[test]
    fn a_client_that_never_ends_its_request_does_not_hold_up_the_end() {
        let running = start();
        let mut half = TcpStream::connect(running.address).expect("a connection");
        half.write_all(b"GET / HTTP/1.1\r\nHost: loc").expect("half a request");
        assert_eq!(running.get("/").body, "here", "others are served meanwhile");

        let asked = Instant::now();
        running.stop().expect("served");
        assert!(asked.elapsed() < HEAD_TIMEOUT / 2, "took {:?}", asked.elapsed());
    }

    #[test]
    fn an_idle_connection_is_closed_at_the_end() {
        let running = start();
        let mut idle = TcpStream::connect(running.address).expect("a connection");
        idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        let mut answer = [0; 1];
        idle.read_exact(&mut answer).expect("the answer's beginning");

        let asked = Instant::now();
        running.stop().expect("served");
        assert!(asked.elapsed() < GRACE, "took {:?}", asked.elapsed());
        assert_eq!(read_answer(idle).body, "here", "what was asked before is answered whole");
    }

    #[test]
    fn connections_over_the_bound_are_served_once_others_end() {
        let running = start();
        let connect = || TcpStream::connect(running.address).expect("a connection");
        let idle: Vec<TcpStream> = std::iter::repeat_with(connect).take(MOST_CONNECTIONS).collect();
        let mut waiting = connect();
        waiting.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("a request");
        drop(idle);
        assert_eq!(read_answer(waiting).body, "here");
    }
}
