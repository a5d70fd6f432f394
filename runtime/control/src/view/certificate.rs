use std::borrow::Cow;

use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::{Certificate, CertificateSource, Sni};
use tollgate_model::secrets::HIDDEN;

/// Where the files are, not what is in them; or the chain that clients see anyway. Never the key.
#[derive(Serialize)]
pub(crate) struct CertificateView<'a> {
    name: &'a Name,
    #[serde(flatten)]
    source: SourceView<'a>,
    tags: &'a [String],
}

#[derive(Serialize)]
#[serde(untagged)]
enum SourceView<'a> {
    Files { certificate_file: Cow<'a, str>, key_file: Cow<'a, str> },
    Texts { certificate: &'a str, key: &'static str },
}

#[derive(Serialize)]
pub(crate) struct SniView<'a> {
    pub(crate) host: String,
    certificate: &'a Name,
}

impl<'a> From<&'a Certificate> for CertificateView<'a> {
    fn from(certificate: &'a Certificate) -> CertificateView<'a> {
        let source = match &certificate.source {
            CertificateSource::Files { certificate, key } => {
                SourceView::Files { certificate_file: certificate.to_string_lossy(), key_file: key.to_string_lossy() }
            }
            CertificateSource::Texts { certificate, .. } => SourceView::Texts { certificate, key: HIDDEN },
        };
        CertificateView { name: &certificate.name, source, tags: &certificate.tags }
    }
}

impl<'a> From<&'a Sni> for SniView<'a> {
    fn from(sni: &'a Sni) -> SniView<'a> {
        SniView { host: sni.host.to_string(), certificate: &sni.certificate }
    }
}
