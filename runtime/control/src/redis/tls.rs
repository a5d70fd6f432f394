//! Files of TLS. They are read for every connection, so that renewed ones need no restart.

use std::path::{Path, PathBuf};

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use super::RedisFailure;

/// The server is always verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// PEM; `None`: the authorities of the system.
    pub ca_file: Option<PathBuf>,
    /// What the server is shown.
    pub identity: Option<ClientIdentity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// PEM, the certificate first and then its chain.
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

impl RedisTls {
    /// Whether the files can be used now.
    ///
    /// # Errors
    /// Names the file that can't be read, or says what is wrong with them.
    pub fn check(&self) -> Result<(), RedisFailure> {
        let address = ConnectionAddr::TcpTls { host: String::new(), port: 0, insecure: false, tls_params: None };
        let info = address.into_connection_info().map_err(|error| RedisFailure::of_files(&error))?;
        self.secure(info).map(drop)
    }

    /// A client that verifies the server by these files.
    pub(super) fn secure(&self, info: ConnectionInfo) -> Result<Client, RedisFailure> {
        let root_cert = self.ca_file.as_deref().map(read).transpose()?;
        if let Some(file) = self.ca_file.as_deref().filter(|_| root_cert.as_deref().is_some_and(lacks_certificate)) {
            return Err(RedisFailure::File {
                path: file.to_owned(),
                reason: "there is no certificate in it".to_owned(),
            });
        }
        let client_tls = match &self.identity {
            Some(ClientIdentity { certificate_file, key_file }) => {
                Some(ClientTlsConfig { client_cert: read(certificate_file)?, client_key: read(key_file)? })
            }
            None => None,
        };
        let certificates = TlsCertificates { client_tls, root_cert };
        Client::build_with_tls(info, certificates).map_err(|error| RedisFailure::of_files(&error))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RedisFailure> {
    std::fs::read(path).map_err(|error| RedisFailure::File { path: path.to_owned(), reason: error.to_string() })
}

fn lacks_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    !pem.windows(BEGIN.len()).any(|window| window == BEGIN)
}
