use std::borrow::Cow;

use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::{Certificate, Sni};

/// Where the files are; never what is in them.
#[derive(Serialize)]
pub(crate) struct CertificateView<'a> {
    name: &'a Name,
    certificate_file: Cow<'a, str>,
    key_file: Cow<'a, str>,
    tags: &'a [String],
}

#[derive(Serialize)]
pub(crate) struct SniView<'a> {
    pub(crate) host: String,
    certificate: &'a Name,
}

impl<'a> From<&'a Certificate> for CertificateView<'a> {
    fn from(certificate: &'a Certificate) -> CertificateView<'a> {
        CertificateView {
            name: &certificate.name,
            certificate_file: certificate.certificate_file.to_string_lossy(),
            key_file: certificate.key_file.to_string_lossy(),
            tags: &certificate.tags,
        }
    }
}

impl<'a> From<&'a Sni> for SniView<'a> {
    fn from(sni: &'a Sni) -> SniView<'a> {
        SniView { host: sni.host.to_string(), certificate: &sni.certificate }
    }
}
