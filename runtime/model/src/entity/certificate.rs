use std::path::PathBuf;

use super::SecretText;
use crate::Name;

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub name: Name,
    pub source: CertificateSource,
    pub tags: Vec<String>,
}

/// Where a chain and its key are. Both in PEM, the own certificate first in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateSource {
    /// In files of the node. Relative paths start at the folder of the file that names them.
    Files { certificate: PathBuf, key: PathBuf },
    /// In the configuration itself. That there are blocks of PEM is known, not what is in them.
    Texts { certificate: String, key: SecretText },
}

/// Which certificate a TLS client that asks for `host` is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sni {
    pub host: super::HostPattern,
    pub certificate: Name,
}
