use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, PositiveTime, one_of};
use tollgate_model::problem::Complaint;
use tollgate_proxy::{ClientCertificates, MinVersion, TlsConfig};

use super::proxy::OneOrMore;

/// `[proxy.tls]`
#[derive(Debug)]
pub(super) struct TlsTable {
    pub(super) listen: Vec<SocketAddr>,
    min_version: MinVersion,
    wanted: Wanted,
    client_ca_file: Option<PathBuf>,
    handshake_timeout: Duration,
}

/// `client_certificates`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    None,
    Optional,
    Required,
}

impl TlsTable {
    /// The file of the authorities that clients come from.
    pub(super) fn client_ca_file(&self, folder: &Path) -> Option<PathBuf> {
        self.client_ca_file.as_ref().map(|file| folder.join(file))
    }

    /// Reads what the file names; `folder` is where relative paths start.
    pub(super) fn complete(&self, folder: &Path) -> anyhow::Result<TlsConfig> {
        let authorities = || match &self.client_ca_file {
            Some(file) => {
                let file = folder.join(file);
                std::fs::read(&file)
                    .with_context(|| format!("{} can't be read; see proxy.tls.client_ca_file", file.display()))
            }
            None => Ok(Vec::new()),
        };
        let client_certificates = match self.wanted {
            Wanted::None => ClientCertificates::None,
            Wanted::Optional => ClientCertificates::Optional(authorities()?),
            Wanted::Required => ClientCertificates::Required(authorities()?),
        };
        let TlsTable { min_version, handshake_timeout, .. } = *self;
        Ok(TlsConfig { min_version, client_certificates, handshake_timeout })
    }
}

impl Decode for TlsTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<TlsTable> {
        let mut fields = Fields::open(value, place, problems);
        let listen = fields.required("listen").map(|OneOrMore(listen)| listen);
        if listen.as_ref().is_some_and(Vec::is_empty) {
            fields.refuse("listen", Complaint::new("there is no address to listen on", "write \"127.0.0.1:8443\""));
        }
        let versions = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
        let min_version = fields
            .maybe_with("min_version", |value: &Value, place: &Place<'_>, problems: &mut Problems| {
                one_of(value, place, problems, &versions)
            });
        let kinds = [("none", Wanted::None), ("optional", Wanted::Optional), ("required", Wanted::Required)];
        let wanted = fields
            .maybe_with("client_certificates", |value: &Value, place: &Place<'_>, problems: &mut Problems| {
                one_of(value, place, problems, &kinds)
            });
        let client_ca_file: Option<PathBuf> = fields.maybe("client_ca_file");
        let wanted = wanted.unwrap_or(Wanted::None);
        if wanted == Wanted::None && client_ca_file.is_some() {
            let hint = "write client_certificates = \"required\" or \"optional\" as well";
            fields.refuse("client_ca_file", Complaint::new("nobody asks clients for certificates", hint));
        }
        if wanted != Wanted::None && client_ca_file.is_none() {
            let hint = "name the file of the authorities: client_ca_file = \"clients.pem\"";
            fields.refuse("client_certificates", Complaint::new("it is not said whose certificates are taken", hint));
        }
        let handshake_timeout = fields.optional("handshake_timeout", PositiveTime(HANDSHAKE)).0;
        fields.finish()?;
        Some(TlsTable {
            listen: listen?,
            min_version: min_version.unwrap_or_default(),
            wanted,
            client_ca_file,
            handshake_timeout,
        })
    }
}

/// What is wrong where TLS is listened for and the gateway's file has nothing to show.
pub const NO_CERTIFICATE: &str = "there is no certificate, so every TLS handshake fails; add [[certificates]] with name, \
                                  certificate_file and key_file to the gateway's file";
const HANDSHAKE: Duration = Duration::from_secs(10);
