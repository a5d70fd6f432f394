use std::path::PathBuf;

use crate::Name;

/// A certificate chain and its private key, as PEM files. Relative paths start at the folder of the
/// file that names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub name: Name,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    pub tags: Vec<String>,
}

/// Which certificate a TLS client that asks for `host` is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sni {
    pub host: super::HostPattern,
    pub certificate: Name,
}
