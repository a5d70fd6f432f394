use std::path::PathBuf;

use crate::Name;

/// How the targets of a service that is spoken to by TLS prove who they are, and how the gateway does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// Whether a target's certificate is verified. Default true; without it anybody in between can
    /// read and change everything.
    pub verify: bool,
    /// PEM file of the authorities that are trusted. Default: those of the system. Relative paths start
    /// at the folder of the file that names them.
    pub ca_file: Option<PathBuf>,
    /// The name that a certificate has to be for, and that is asked for (SNI). Default: the target's
    /// host. A host name or an address, in lower case.
    pub server_name: Option<String>,
    /// What the gateway shows when it is asked who it is.
    pub client_certificate: Option<Name>,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        UpstreamTls { verify: true, ca_file: None, server_name: None, client_certificate: None }
    }
}
