use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Certificates;
use crate::ending::ClientSocket;
use crate::timer::within;

/// How TLS listeners treat clients.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    pub min_version: MinVersion,
    pub client_certificates: ClientCertificates,
    /// From the connection's start.
    pub handshake_timeout: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// Whether clients show certificates. The authorities that they have to come from are in PEM.
#[derive(Clone, Debug, Default)]
pub enum ClientCertificates {
    #[default]
    None,
    /// A client without one is served; one with a wrong one is not.
    Optional(Vec<u8>),
    Required(Vec<u8>),
}

/// Why a [`TlsConfig`] can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTls(String);

/// Makes TLS sessions of connections. Shared by all workers, so that a session begun on one can be
/// resumed on any.
#[derive(Clone)]
pub struct TlsServer(Arc<Inner>);

struct Inner {
    settings: TlsConfig,
    certificates: Arc<Certificates>,
    current: ArcSwap<ServerConfig>,
}

impl TlsServer {
    /// `certificates` tells for each handshake what is shown.
    pub fn new(config: &TlsConfig, certificates: Arc<Certificates>) -> Result<TlsServer, InvalidTls> {
        let current = ArcSwap::new(server(config, &config.client_certificates, &certificates)?);
        Ok(TlsServer(Arc::new(Inner { settings: config.clone(), certificates, current })))
    }

    /// From the next handshake on clients have to come from these authorities, in PEM. No session that was
    /// begun before is resumed: it would be by the word of the old ones.
    pub fn trust(&self, authorities: Vec<u8>) -> Result<(), InvalidTls> {
        let Inner { settings, certificates, current } = &*self.0;
        let clients = match settings.client_certificates {
            ClientCertificates::None => return Ok(()),
            ClientCertificates::Optional(_) => ClientCertificates::Optional(authorities),
            ClientCertificates::Required(_) => ClientCertificates::Required(authorities),
        };
        current.store(server(settings, &clients, certificates)?);
        Ok(())
    }

    pub(crate) async fn accept(&self, stream: ClientSocket) -> io::Result<TlsStream<ClientSocket>> {
        let acceptor = TlsAcceptor::from(self.0.current.load_full());
        match within(self.0.settings.handshake_timeout, acceptor.accept(stream)).await {
            Ok(accepted) => accepted,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn server(
    config: &TlsConfig,
    clients: &ClientCertificates,
    certificates: &Arc<Certificates>,
) -> Result<Arc<ServerConfig>, InvalidTls> {
    let versions = match config.min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12][..],
        MinVersion::Tls13 => &[&TLS13],
    };
    let provider = Arc::new(default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).map_err(told)?;
    let verifier = |authorities: &[u8], required: bool| -> Result<Arc<dyn ClientCertVerifier>, InvalidTls> {
        let builder = WebPkiClientVerifier::builder_with_provider(trusted(authorities)?, Arc::clone(&provider));
        if required { builder.build() } else { builder.allow_unauthenticated().build() }.map_err(told)
    };
    let builder = match clients {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Optional(authorities) => builder.with_client_cert_verifier(verifier(authorities, false)?),
        ClientCertificates::Required(authorities) => builder.with_client_cert_verifier(verifier(authorities, true)?),
    };
    let mut server = builder.with_cert_resolver(Arc::clone(certificates) as _);
    server.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
    server.ticketer = Ticketer::new().map_err(told)?;
    Ok(Arc::new(server))
}

/// Whether the two sides agreed on HTTP/2 (RFC 7301).
pub(crate) fn agreed_on_http2(stream: &TlsStream<ClientSocket>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}

fn trusted(authorities: &[u8]) -> Result<Arc<RootCertStore>, InvalidTls> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        let certificate = certificate.map_err(|_| InvalidTls("it is not in PEM".to_owned()))?;
        roots.add(certificate).map_err(told)?;
    }
    if roots.is_empty() {
        return Err(InvalidTls("there is no certificate in it".to_owned()));
    }
    Ok(Arc::new(roots))
}

fn told(error: impl std::fmt::Display) -> InvalidTls {
    InvalidTls(error.to_string())
}

const HTTP_2: &[u8] = b"h2";
