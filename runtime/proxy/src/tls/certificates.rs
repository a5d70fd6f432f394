//! Which certificate a client is shown.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tollgate_model::Name;
use tollgate_model::entity::{HostPattern, Sni};

use super::ServerCertificate;

/// What clients are shown now. One for the whole process; a change counts from the next handshake.
#[derive(Default)]
pub struct Certificates {
    table: ArcSwap<CertificateTable>,
}

/// Certificates by the host that a client asks for.
#[derive(Default)]
pub struct CertificateTable {
    exact: HashMap<Box<str>, Arc<CertifiedKey>, RandomState>,
    /// By suffix, with its leading dot.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>, RandomState>,
    /// For clients that name no host, or one that nobody knows.
    default: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    pub fn show(&self, table: CertificateTable) {
        self.table.store(Arc::new(table));
    }
}

impl CertificateTable {
    /// `certificates`: those that can be used. A host whose certificate is not among them gets the
    /// default: the one named `default`, otherwise the first by name.
    pub fn build(snis: &[Arc<Sni>], certificates: &BTreeMap<Name, ServerCertificate>) -> CertificateTable {
        let default = certificates
            .iter()
            .find(|(name, _)| name.as_str() == DEFAULT)
            .or_else(|| certificates.iter().next())
            .map(|(_, certificate)| Arc::clone(&certificate.key));
        let mut table = CertificateTable { default, ..CertificateTable::default() };
        for sni in snis {
            let Some(certificate) = certificates.get(&sni.certificate) else { continue };
            let key = Arc::clone(&certificate.key);
            match &sni.host {
                HostPattern::Exact(host) => table.exact.insert(host.as_str().into(), key),
                HostPattern::Wildcard(suffix) => table.wildcard.insert(suffix.as_str().into(), key),
            };
        }
        table
    }

    /// The exact host, then the longest wildcard.
    fn find(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        let suffixes = host.match_indices('.').filter(|(at, _)| *at > 0).map(|(at, _)| &host[at..]);
        let wildcard = || suffixes.into_iter().find_map(|suffix| self.wildcard.get(suffix));
        self.exact.get(host).or_else(wildcard)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let named = hello.server_name().map(str::to_ascii_lowercase);
        let found = named.as_deref().and_then(|host| table.find(host));
        found.or(table.default.as_ref()).cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

const DEFAULT: &str = "default";
