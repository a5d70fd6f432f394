//! One request over one connection.

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Failure;
use super::access::Base;

/// Which part of it failed.
#[derive(Debug)]
pub(super) enum Broken {
    Connecting(io::Error),
    Securing(io::Error),
    Asking(hyper::Error),
}

pub(super) async fn exchange(
    base: &Base,
    tls: Option<&Arc<ClientConfig>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, Broken> {
    let stream = TcpStream::connect((base.host.as_str(), base.port)).await.map_err(Broken::Connecting)?;
    let Some(tls) = tls else { return over(stream, request).await };
    let name = ServerName::try_from(base.host.clone()).map_err(|error| Broken::Securing(io::Error::other(error)))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(Broken::Securing)?;
    over(stream, request).await
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Broken::Asking)?;
    // What fails of it fails the request as well.
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.map_err(Broken::Asking)?.into_parts();
    let body = body.collect().await.map_err(Broken::Asking)?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// Servers are always verified.
pub(super) fn tls(ca_file: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unusable = |reason: String| Failure::usage(format!("--ca-file {}: {reason}", file.display()));
            let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("there is no certificate in it".to_owned()).into());
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
