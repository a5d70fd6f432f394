//! TLS towards targets: who is trusted, and as whom the gateway speaks.
//!
//! Everything is read and checked while a snapshot is built; nothing here is on a request's path but
//! [`EndpointTls::connector`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tollgate_model::ConfigSet;
use tollgate_model::entity::{CertificateSource, Protocol, Service, UpstreamTls};

use super::unverified::Unverified;

/// Makes the TLS side of services; what did not change is the same from snapshot to snapshot.
pub(crate) struct TlsClients {
    provider: Arc<CryptoProvider>,
    /// Where relative paths start.
    folder: PathBuf,
    /// Read once, when the first service needs them.
    system_roots: Option<Arc<RootCertStore>>,
    made: HashMap<Arc<TlsWanted>, Made, RandomState>,
    count: u64,
}

/// What came of what a TLS side is made of.
#[derive(Clone)]
struct Made {
    /// The last good one.
    client: Option<Arc<TlsClient>>,
    /// Why it is not what it should be.
    problem: Option<String>,
    /// Of files, readable or not, and texts.
    fingerprint: blake3::Hash,
}

/// What a service gets of it.
pub(crate) struct TlsSide {
    pub(crate) wanted: Arc<TlsWanted>,
    /// Or why there is none.
    pub(crate) client: Result<Arc<TlsClient>, String>,
}

/// A TLS side that several services may share.
#[derive(Debug)]
pub(crate) struct TlsClient {
    /// Tells it from every other of this process: connections are never shared between two.
    pub(crate) number: u64,
    config: ClientConfig,
    server_name: Option<String>,
}

/// An endpoint's: sessions are resumed with the target they came from.
pub(crate) struct EndpointTls {
    connector: TlsConnector,
    /// For requests that need HTTP/1.1, to change to another protocol.
    http1: TlsConnector,
    name: ServerName<'static>,
}

/// What a TLS side is made of.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TlsWanted {
    tls: UpstreamTls,
    /// What the gateway shows.
    identity: Option<CertificateSource>,
}

/// Something in PEM that a TLS side is made of; its `Display` says where it is.
enum Part<'a> {
    File(&'a Path),
    /// In the configuration, under this key.
    Text(&'static str, &'a str),
}

impl TlsClients {
    /// Relative paths of a configuration start at `folder`.
    pub(crate) fn new(folder: PathBuf) -> TlsClients {
        TlsClients {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            folder,
            system_roots: None,
            made: HashMap::default(),
            count: 0,
        }
    }

    /// Reads all files again. Whether anything is made of them that was not there before.
    pub(crate) fn refresh(&mut self) -> bool {
        let mut is_new = false;
        for wanted in self.made.keys().cloned().collect::<Vec<_>>() {
            let made = self.make(&wanted);
            let before = self.made.insert(wanted, made.clone());
            is_new |= before.is_none_or(|before| !before.is_like(&made));
        }
        is_new
    }

    /// The TLS side of a service.
    pub(crate) fn side(&mut self, set: &ConfigSet, service: &Service) -> TlsSide {
        let certificate = service.tls.client_certificate.as_ref().and_then(|name| set.certificates.get(name));
        let wanted = TlsWanted { tls: service.tls.clone(), identity: certificate.map(|entity| entity.source.clone()) };
        let (wanted, made) = match self.made.get_key_value(&wanted) {
            Some((wanted, made)) => (Arc::clone(wanted), made.clone()),
            None => {
                let made = self.make(&wanted);
                let wanted = Arc::new(wanted);
                self.made.insert(Arc::clone(&wanted), made.clone());
                (wanted, made)
            }
        };
        TlsSide { wanted, client: made.client.ok_or(made.problem.unwrap_or_default()) }
    }

    /// Whether anything that is made is not what its files say now.
    pub(crate) fn has_stale(&self) -> bool {
        self.made.values().any(|made| made.staleness().is_some())
    }

    /// Why this is not what its files say now.
    pub(crate) fn staleness(&self, wanted: &TlsWanted) -> Option<&str> {
        self.made.get(wanted)?.staleness()
    }

    /// Forgets what no service uses any more.
    pub(crate) fn retain(&mut self, is_used: impl Fn(&TlsWanted) -> bool) {
        self.made.retain(|wanted, _| is_used(wanted));
    }

    /// The files that decide what is made, as far as they are known.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.made.keys().flat_map(|wanted| wanted.files()).map(|file| self.folder.join(file))
    }

    /// Whether a file is another one than when it was read last.
    pub(crate) fn have_changed(&self) -> bool {
        self.made.iter().any(|(wanted, made)| self.read_all(wanted).1 != made.fingerprint)
    }

    fn make(&mut self, wanted: &TlsWanted) -> Made {
        let (contents, fingerprint) = self.read_all(wanted);
        let before = self.made.get(wanted).cloned();
        if let Some(same) = before.clone().filter(|before| before.fingerprint == fingerprint) {
            return same;
        }
        match contents.and_then(|contents| self.build(wanted, contents)) {
            Ok(client) => Made { client: Some(Arc::new(client)), problem: None, fingerprint },
            Err(problem) => {
                let client = before.or_else(|| self.made_before(wanted)).and_then(|before| before.client);
                Made { client, problem: Some(problem), fingerprint }
            }
        }
    }

    /// Of the same certificate by name, when it was another one.
    fn made_before(&self, wanted: &TlsWanted) -> Option<Made> {
        let before = self.made.iter().filter(|(other, made)| other.tls == wanted.tls && made.client.is_some());
        before.max_by_key(|(_, made)| made.client.as_ref().map(|client| client.number)).map(|(_, made)| made.clone())
    }

    fn read_all<'w>(&self, wanted: &'w TlsWanted) -> (Result<Vec<Content<'w>>, String>, blake3::Hash) {
        let read: Vec<Result<Content<'w>, String>> = wanted.parts().map(|part| self.read(part)).collect();
        let mut hasher = blake3::Hasher::new();
        for part in &read {
            let bytes = part.as_deref().unwrap_or_default();
            hasher.update(&[u8::from(part.is_ok())]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
        (read.into_iter().collect(), hasher.finalize())
    }

    /// `contents` in the order of [`TlsWanted::parts`].
    fn build(&mut self, wanted: &TlsWanted, contents: Vec<Content<'_>>) -> Result<TlsClient, String> {
        let mut contents = wanted.parts().zip(contents);
        let ca = wanted.tls.ca_file.as_ref().and_then(|_| contents.next());
        let identity = wanted.identity.as_ref().and_then(|_| Some((contents.next()?, contents.next()?)));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match (wanted.tls.verify, &ca) {
            (false, _) => {
                let verifier = Arc::new(Unverified(Arc::clone(&self.provider)));
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
            (true, Some((part, ca))) => builder.with_root_certificates(roots(ca, part)?),
            (true, None) => builder.with_root_certificates(self.system_roots()?),
        };
        let config = match identity {
            Some(((part, chain), (key_part, key))) => {
                let chain = certificates(&chain, &part)?;
                // What exactly is wrong with it would tell of what is in it.
                let key = PrivateKeyDer::from_pem_slice(&key)
                    .map_err(|_| format!("no private key in PEM, or a broken or encrypted one, in {key_part}"))?;
                let refused = |error| format!("the client certificate in {part} is not usable: {error}");
                builder.with_client_auth_cert(chain, key).map_err(refused)?
            }
            None => builder.with_no_client_auth(),
        };
        self.count += 1;
        Ok(TlsClient { number: self.count, config, server_name: wanted.tls.server_name.clone() })
    }

    fn read<'w>(&self, part: Part<'w>) -> Result<Content<'w>, String> {
        match part {
            Part::File(file) => {
                let read = std::fs::read(self.folder.join(file));
                Ok(Cow::Owned(read.map_err(|error| format!("{} can't be read: {error}", file.display()))?))
            }
            Part::Text(_, text) => Ok(Cow::Borrowed(text.as_bytes())),
        }
    }

    fn system_roots(&mut self) -> Result<Arc<RootCertStore>, String> {
        if let Some(roots) = &self.system_roots {
            return Ok(Arc::clone(roots));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            let advice = "install ca-certificates or name a `ca_file`";
            return Err(format!("this system has no trusted certificate authorities{why}; {advice}"));
        }
        let roots = Arc::new(roots);
        self.system_roots = Some(Arc::clone(&roots));
        Ok(roots)
    }
}

impl Made {
    fn is_like(&self, other: &Made) -> bool {
        let number = |made: &Made| made.client.as_ref().map(|client| client.number);
        number(self) == number(other) && self.problem == other.problem
    }

    fn staleness(&self) -> Option<&str> {
        self.client.as_ref().and(self.problem.as_deref())
    }
}

/// Of a part, as it is read.
type Content<'w> = Cow<'w, [u8]>;

impl TlsWanted {
    /// Authorities, certificate, key, as far as they are wanted.
    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let identity = self.identity.iter().flat_map(|source| match source {
            CertificateSource::Files { certificate, key } => [Part::File(certificate), Part::File(key)],
            CertificateSource::Texts { certificate, key } => {
                [Part::Text("certificate", certificate), Part::Text("key", key.expose())]
            }
        });
        self.tls.ca_file.iter().map(|file| Part::File(file)).chain(identity)
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts().filter_map(|part| match part {
            Part::File(file) => Some(file),
            Part::Text(..) => None,
        })
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::File(file) => write!(f, "{}", file.display()),
            Part::Text(key, _) => write!(f, "the client certificate's `{key}`"),
        }
    }
}

impl TlsClient {
    pub(crate) fn endpoint(&self, host: &str, protocol: Protocol) -> Result<EndpointTls, String> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("no certificate can be for the name {name}; set `server_name`"))?;
        let mut config = self.config.clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![HTTP_1.to_vec()],
            Protocol::Http2 => vec![HTTP_2.to_vec()],
            Protocol::Auto => vec![HTTP_2.to_vec(), HTTP_1.to_vec()],
        };
        let mut http1 = config.clone();
        http1.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(EndpointTls {
            connector: TlsConnector::from(Arc::new(config)),
            http1: TlsConnector::from(Arc::new(http1)),
            name,
        })
    }
}

impl EndpointTls {
    pub(crate) fn connector(&self, http1_only: bool) -> &TlsConnector {
        if http1_only { &self.http1 } else { &self.connector }
    }

    pub(crate) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

impl fmt::Debug for EndpointTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointTls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8], part: &Part<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("no certificate in {part}")),
        Err(error) => Err(format!("{part} is not PEM: {error}")),
    }
}

fn roots(pem: &[u8], part: &Part<'_>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, part)? {
        roots.add(certificate).map_err(|error| format!("a certificate in {part}: {error}"))?;
    }
    Ok(roots)
}

/// As ALPN names protocols (RFC 7301, RFC 9113).
pub(crate) const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// Sessions kept for one endpoint.
const SESSIONS: usize = 8;
