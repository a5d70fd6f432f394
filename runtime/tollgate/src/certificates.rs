//! The certificates of the configuration, read from their files or as they stand in it: what can be used is shown to
//! clients, what can't is reported, and its last good state stays.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tollgate_model::entity::{Certificate, CertificateSource};
use tollgate_model::{ConfigSet, Name};
use tollgate_proxy::{CertificateTable, Certificates, ServerCertificate};
use tollgate_store::Watched;

pub struct CertificateFiles {
    /// Where relative paths start.
    folder: PathBuf,
    shown: Arc<Certificates>,
    known: BTreeMap<Name, Known>,
    set: Arc<ConfigSet>,
}

/// One certificate, as it was seen last.
struct Known {
    entity: Arc<Certificate>,
    contents: Contents,
    /// The last good one.
    usable: Option<ServerCertificate>,
    problem: Option<String>,
    /// Its files don't fit for the first time: seldom are both replaced at once.
    unsettled: bool,
    warned: Option<Instant>,
}

/// Digests of chain and key, so that what did not change is not parsed again, and no key is kept.
#[derive(PartialEq, Eq)]
struct Contents(Option<[u8; 32]>, Option<[u8; 32]>);

/// PEM, or why there is none.
type Pem<'a> = Result<Cow<'a, [u8]>, String>;

/// How a certificate is doing.
#[derive(Clone, Debug)]
pub struct CertificateReport {
    pub name: String,
    /// Of the one that is shown; `None` when there is none.
    pub expires_at: Option<SystemTime>,
    /// Why it can't be used as it is.
    pub problem: Option<String>,
}

impl CertificateFiles {
    /// `folder`: where relative paths start.
    pub fn new(folder: &Path, shown: Arc<Certificates>) -> CertificateFiles {
        let set = Arc::new(ConfigSet::default());
        CertificateFiles { folder: folder.to_owned(), shown, known: BTreeMap::new(), set }
    }

    /// Reads the certificates of a set again and shows what changed. Returns the new state of all
    /// certificates if any has changed.
    pub fn refresh(&mut self, set: &Arc<ConfigSet>) -> Option<Vec<CertificateReport>> {
        let mut known = std::mem::take(&mut self.known);
        let mut changed = !Arc::ptr_eq(&self.set, set);
        for certificate in set.certificates.values() {
            let before = known.remove(&certificate.name);
            let now = self.seen(certificate, before, &mut changed);
            self.known.insert(certificate.name.clone(), now);
        }
        self.set = Arc::clone(set);
        self.warn_of_expiry();
        if !changed {
            return None;
        }
        let usable = |known: &Known| known.usable.clone();
        let usable = self.known.iter().filter_map(|(name, known)| Some((name.clone(), usable(known)?))).collect();
        self.shown.show(CertificateTable::build(&set.snis, &usable));
        Some(self.reports())
    }

    /// Files are being replaced, as it seems: to be looked at again soon.
    pub fn is_unsettled(&self) -> bool {
        self.known.values().any(|known| known.unsettled)
    }

    /// The files to follow.
    pub fn watched(&self) -> Vec<Watched> {
        let files = self.known.values().filter_map(|known| match &known.entity.source {
            CertificateSource::Files { certificate, key } => Some([certificate, key]),
            CertificateSource::Texts { .. } => None,
        });
        files.flatten().map(|file| Watched::File(self.folder.join(file))).collect()
    }

    fn seen(&self, entity: &Arc<Certificate>, before: Option<Known>, changed: &mut bool) -> Known {
        let (chain, key) = self.pem(&entity.source);
        let digest = |pem: &Pem<'_>| pem.as_ref().ok().map(|bytes| *blake3::hash(bytes).as_bytes());
        let contents = Contents(digest(&chain), digest(&key));
        let before = match before {
            Some(before) if !before.unsettled && before.contents == contents && before.entity == *entity => {
                return before;
            }
            before => before,
        };
        let read = chain.and_then(|chain| Ok((chain, key?)));
        let usable =
            read.and_then(|(chain, key)| ServerCertificate::from_pem(&chain, &key).map_err(|error| error.to_string()));
        let (name, entity) = (&entity.name, Arc::clone(entity));
        match usable {
            Ok(usable) => {
                *changed = true;
                tracing::info!(certificate = %name, "certificate loaded");
                Known { entity, contents, usable: Some(usable), problem: None, unsettled: false, warned: None }
            }
            Err(problem) => {
                let is_whole = matches!(entity.source, CertificateSource::Texts { .. });
                let seen_so = |before: &Known| before.unsettled && before.contents == contents;
                let settled = is_whole || before.as_ref().is_none_or(seen_so);
                let (usable, earlier) = before.map(|before| (before.usable, before.problem)).unwrap_or_default();
                let kept = usable.is_some();
                if kept && !settled {
                    return Known { entity, contents, usable, problem: earlier, unsettled: true, warned: None };
                }
                *changed = true;
                tracing::error!(certificate = %name, problem, kept, "certificate can't be used");
                Known { entity, contents, usable, problem: Some(problem), unsettled: false, warned: None }
            }
        }
    }

    /// Chain and key.
    fn pem<'a>(&self, source: &'a CertificateSource) -> (Pem<'a>, Pem<'a>) {
        match source {
            CertificateSource::Files { certificate, key } => (self.read(certificate), self.read(key)),
            CertificateSource::Texts { certificate, key } => {
                (Ok(Cow::Borrowed(certificate.as_bytes())), Ok(Cow::Borrowed(key.expose().as_bytes())))
            }
        }
    }

    fn read(&self, file: &Path) -> Pem<'static> {
        let path = self.folder.join(file);
        let read = std::fs::read(&path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        Ok(Cow::Owned(read))
    }

    /// Once a day for each.
    fn warn_of_expiry(&mut self) {
        for (name, known) in &mut self.known {
            let Some(usable) = &known.usable else { continue };
            let left = usable.expires_at().duration_since(SystemTime::now()).unwrap_or_default();
            if left > SOON || known.warned.is_some_and(|at| at.elapsed() < DAY) {
                continue;
            }
            known.warned = Some(Instant::now());
            let days = left.as_secs() / DAY.as_secs();
            match left.is_zero() {
                true => tracing::warn!(certificate = %name, "certificate has expired"),
                false => tracing::warn!(certificate = %name, days, "certificate expires soon"),
            }
        }
    }

    fn reports(&self) -> Vec<CertificateReport> {
        let report = |(name, known): (&Name, &Known)| CertificateReport {
            name: name.to_string(),
            expires_at: known.usable.as_ref().map(ServerCertificate::expires_at),
            problem: known.problem.clone(),
        };
        self.known.iter().map(report).collect()
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What is left when warnings begin.
pub const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
