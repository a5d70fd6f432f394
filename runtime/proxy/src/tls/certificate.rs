use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

/// A certificate chain and its key, fit to be shown to clients.
#[derive(Clone)]
pub struct ServerCertificate {
    pub(super) key: Arc<CertifiedKey>,
    expires_at: SystemTime,
}

/// Why a certificate can't be used. Never tells what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    #[error("there is no certificate in PEM, or a broken one")]
    Certificate,
    #[error("there is no private key in PEM, or a broken or encrypted one")]
    Key,
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("the key is of a kind that is not supported")]
    Unsupported,
}

impl ServerCertificate {
    /// Reads a chain (the server's certificate first) and its key (PKCS #8, PKCS #1 or SEC 1), both in
    /// PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<ServerCertificate, BadCertificate> {
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| BadCertificate::Certificate)?;
        let first = chain.first().ok_or(BadCertificate::Certificate)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(first).map_err(|_| BadCertificate::Certificate)?;
        let expires_at = UNIX_EPOCH
            + Duration::from_secs(u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default());
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| BadCertificate::Key)?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => BadCertificate::Mismatch,
            Error::InvalidCertificate(_) => BadCertificate::Certificate,
            _ => BadCertificate::Unsupported,
        })?;
        Ok(ServerCertificate { key: Arc::new(key), expires_at })
    }

    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
