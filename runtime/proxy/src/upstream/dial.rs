//! From an endpoint to a connection that is ready for requests, all handshakes done.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::{CertificateError, Error as TlsError};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tollgate_model::entity::{Protocol, Timeouts};

use super::endpoint::Place;
use super::http1::{Http1, Stream};
use super::http2::Multiplex;
use super::pool::{OpenCount, PooledConnection, Sender};
use super::{Endpoint, tls};
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
    within(timeouts.connect, opened(endpoint, timeouts, http1_only, count))
        .await
        .unwrap_or_else(|_| Err(too_late(timeouts)))
}

pub(super) fn too_late(timeouts: &Timeouts) -> ConnectFailure {
    let detail = format!("no connection after {:?}", timeouts.connect);
    ConnectFailure { kind: ErrorKind::ConnectTimeout, detail }
}

async fn opened(
    endpoint: &Arc<Endpoint>,
    timeouts: &Timeouts,
    http1_only: bool,
    count: &OpenCount,
) -> Result<Opened, ConnectFailure> {
    // Read first: if an address goes away meanwhile, the connection counts as one to it.
    let epoch = endpoint.epoch();
    let stream = reach(endpoint).await?;
    tune(&stream, timeouts);
    let wanted = if http1_only { Protocol::Http1 } else { endpoint.address().protocol };
    let Some(settings) = &endpoint.tls else {
        return match wanted {
            Protocol::Http2 => Multiplex::open(stream, epoch, timeouts, count).await.map(Opened::Http2),
            _ => Ok(http1(Either::Left(stream), epoch, endpoint, count)),
        };
    };
    let secure = settings.connector(http1_only).connect(settings.name(), stream).await.map_err(refused)?;
    match (wanted, speaks_http2(&secure)) {
        (Protocol::Http2 | Protocol::Auto, true) => {
            Multiplex::open(secure, epoch, timeouts, count).await.map(Opened::Http2)
        }
        (Protocol::Http2, false) => Err(failed("the target did not agree to HTTP/2 (ALPN)")),
        _ => Ok(http1(Either::Right(Box::new(secure)), epoch, endpoint, count)),
    }
}

/// A connection to the endpoint, nothing spoken yet.
pub(super) async fn reach(endpoint: &Endpoint) -> Result<TcpStream, ConnectFailure> {
    let port = endpoint.address().port;
    let name = match &endpoint.place {
        Place::Address(address) => return TcpStream::connect((*address, port)).await.map_err(failed),
        Place::Name(name) => name,
    };
    let unknown = |reason| failed(format!("the name can't be resolved: {reason}"));
    let addresses = name.addresses().await.map_err(unknown)?;
    first_of(addresses.into_iter().map(|address| SocketAddr::new(address, port))).await.map_err(failed)
}

/// Tries the next address when the one before failed, or does not answer for a moment; the first connection
/// wins (RFC 8305, 5).
async fn first_of(addresses: impl ExactSizeIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses;
    let mut attempts = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match addresses.next() {
            Some(address) => drop(attempts.spawn(TcpStream::connect(address))),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            biased;
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(error) => last = io::Error::other(error),
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if addresses.len() > 0 => {}
        }
    }
}

fn http1(stream: Stream, epoch: u32, endpoint: &Arc<Endpoint>, count: &OpenCount) -> Opened {
    let connection = Box::new(Http1::new(stream, count.one()));
    Opened::Http1(PooledConnection::new(Sender::Http1(connection), Arc::clone(endpoint), epoch, false))
}

fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2)
}

/// Latency over packet count. And a target that vanished without a word is found: by probes while nothing is
/// sent, and by what it did not acknowledge for as long as the service waits for it, which also bounds how long
/// it may keep its window shut. (Without that the system tries for a quarter of an hour.)
fn tune(stream: &TcpStream, timeouts: &Timeouts) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_INTERVAL).with_retries(PROBES);
    let _ = socket.set_tcp_keepalive(&probes);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(timeouts.response.max(timeouts.idle)));
}

pub(super) fn failed(error: impl ToString) -> ConnectFailure {
    ConnectFailure { kind: ErrorKind::ConnectFailed, detail: error.to_string() }
}

/// A handshake that failed, and which side of it would not.
pub(super) fn refused(error: io::Error) -> ConnectFailure {
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

/// Between attempts at two addresses (RFC 8305, 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// A target that is not there any more is noticed after a minute.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn the_system_gives_up_on_a_silent_target_when_the_service_does() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (response, idle) = (Duration::from_secs(7), Duration::from_secs(9));
        tune(&stream, &Timeouts { response, idle, ..Timeouts::default() });
        let socket = SockRef::from(&stream);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(idle));
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_retries().unwrap()),
            (PROBE_AFTER, PROBES)
        );
    }
}
