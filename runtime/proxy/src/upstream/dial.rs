//! From an endpoint to a connection that is ready for requests, all handshakes done.

use std::rc::Rc;
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, Error as TlsError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tollgate_model::entity::{Protocol, Timeouts};

use super::http2::Multiplex;
use super::pool::{OpenCount, PooledConnection, Sender};
use super::{Endpoint, tls};
use crate::connection::tune;
use crate::error::ErrorKind;
use crate::timer::within;

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectFailure {
    pub(crate) kind: ErrorKind,
    /// For the log.
    pub(crate) detail: String,
}

/// What an endpoint turned out to speak.
pub(super) enum Opened {
    Http1(PooledConnection),
    Http2(Rc<Multiplex>),
}

/// Opens a connection within the connect timeout. `http1_only` for requests that change to another
/// protocol, which HTTP/1.1 alone can.
pub(super) async fn open(
    endpoint: &Arc<Endpoint>,
    timeouts: &Timeouts,
    http1_only: bool,
    count: &OpenCount,
) -> Result<Opened, ConnectFailure> {
    within(timeouts.connect, opened(endpoint, timeouts, http1_only, count)).await.unwrap_or_else(|_| {
        let detail = format!("no connection after {:?}", timeouts.connect);
        Err(ConnectFailure { kind: ErrorKind::ConnectTimeout, detail })
    })
}

async fn opened(
    endpoint: &Arc<Endpoint>,
    timeouts: &Timeouts,
    http1_only: bool,
    count: &OpenCount,
) -> Result<Opened, ConnectFailure> {
    let address = endpoint.address();
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(failed)?;
    tune(&stream);
    let wanted = if http1_only { Protocol::Http1 } else { address.protocol };
    let Some(settings) = &endpoint.tls else {
        return match wanted {
            Protocol::Http2 => Multiplex::open(stream, timeouts, count).await.map(Opened::Http2),
            _ => http1(stream, endpoint, count).await,
        };
    };
    let secure = settings.connector(http1_only).connect(settings.name(), stream).await.map_err(refused)?;
    match (wanted, speaks_http2(&secure)) {
        (Protocol::Http2 | Protocol::Auto, true) => Multiplex::open(secure, timeouts, count).await.map(Opened::Http2),
        (Protocol::Http2, false) => Err(failed("the target did not agree to HTTP/2 (ALPN)")),
        _ => http1(secure, endpoint, count).await,
    }
}

async fn http1<T>(stream: T, endpoint: &Arc<Endpoint>, count: &OpenCount) -> Result<Opened, ConnectFailure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let open = count.one();
    tokio::task::spawn_local(async move {
        let _open = open;
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Opened::Http1(PooledConnection::new(Sender::Http1(sender), Arc::clone(endpoint), false)))
}

fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2)
}

pub(super) fn failed(error: impl ToString) -> ConnectFailure {
    ConnectFailure { kind: ErrorKind::ConnectFailed, detail: error.to_string() }
}

/// A handshake that failed, and which side of it would not.
fn refused(error: std::io::Error) -> ConnectFailure {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return failed(format!("the TLS handshake broke off: {error}"));
    };
    let detail = match tls {
        TlsError::InvalidCertificate(reason) => format!("the target's certificate is refused: {}", said(reason)),
        TlsError::AlertReceived(alert) => format!("the target refused the TLS handshake: {alert:?}"),
        TlsError::NoApplicationProtocol => "the target speaks none of the protocols asked for (ALPN)".to_owned(),
        other => format!("the TLS handshake failed: {other}"),
    };
    ConnectFailure { kind: ErrorKind::UpstreamTls, detail }
}

fn said(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::UnknownIssuer => "its issuer is unknown".to_owned(),
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("it is for another name: {} was expected, it is for {}", expected.to_str(), presented.join(", "))
        }
        other => other.to_string(),
    }
}
