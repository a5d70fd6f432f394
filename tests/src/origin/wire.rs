//! How the origin speaks, below its answers.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::{Records, answer};

/// What an origin speaks. The default is HTTP/1.1 in clear.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// Behind TLS; the protocol is then the negotiated one.
    pub tls: Option<Arc<ServerConfig>>,
    /// In clear: HTTP/2 with prior knowledge.
    pub http2: bool,
    /// Of HTTP/2: streams at once.
    pub streams: Option<u32>,
    /// Of HTTP/2: requests on one connection, then GOAWAY.
    pub requests: Option<u64>,
}

impl Wire {
    pub fn http2() -> Wire {
        Wire { http2: true, ..Wire::default() }
    }

    pub fn tls(config: Arc<ServerConfig>) -> Wire {
        Wire { tls: Some(config), ..Wire::default() }
    }
}

/// Serves one connection. Errors are the other side's: tests cut connections on purpose.
pub(super) async fn serve(stream: TcpStream, wire: Wire, records: Arc<Records>, name: String) {
    let Some(config) = &wire.tls else {
        let http2 = wire.http2;
        return speak(stream, http2, &wire, records, name).await;
    };
    let Ok(stream) = TlsAcceptor::from(Arc::clone(config)).accept(stream).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    speak(stream, http2, &wire, records, name).await;
}

async fn speak<T>(stream: T, http2: bool, wire: &Wire, records: Arc<Records>, name: String)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served = Arc::new(AtomicU64::new(0));
    let enough = Arc::new(Notify::new());
    let (counted, full, most) = (Arc::clone(&served), Arc::clone(&enough), wire.requests);
    let service = service_fn(move |request| {
        let (records, name) = (Arc::clone(&records), name.clone());
        if Some(counted.fetch_add(1, Ordering::SeqCst) + 1) == most {
            full.notify_one();
        }
        async move {
            records.requests.fetch_add(1, Ordering::SeqCst);
            answer::answer(request, &records, &name).await
        }
    });
    let stream = TokioIo::new(stream);
    if !http2 {
        let _ = http1::Builder::new().half_close(true).serve_connection(stream, service).with_upgrades().await;
        return;
    }
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(wire.streams);
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = enough.notified() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
