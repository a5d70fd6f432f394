use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::{Root, SealedError, Sealer};

/// The cluster key, as a ring: the first key seals, all of them open, so that nodes can be given a new one before
/// it is used.
///
/// Its text has a line a key, `id:` and 32 bytes in base64; empty lines and those with `#` in front do not count.
pub struct Keyring {
    keys: Vec<ClusterKey>,
}

struct ClusterKey {
    id: String,
    sealer: Sealer,
}

/// Whether what was opened should be sealed anew, by the ring's first key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    No,
    Yes,
}

/// A text that is no keyring. Never shows what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyring {
    #[error("there is no key in it; `tollgate keygen` prints one")]
    Empty,
    #[error("line {line}: {problem}; a line is an id, `:` and 32 bytes in base64, as `tollgate keygen` prints it")]
    Line { line: usize, problem: &'static str },
}

/// Why a root stays closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the cluster key does not open this database: it was sealed by the key `{wanted}`, and the keyring has {}. \
         Give this node the cluster's key, or the URL of another database", listed(.found)
    )]
    UnknownKey { wanted: String, found: Vec<String> },
    #[error(
        "the cluster key does not open this database: the key `{id}` of the keyring is not the one that it was sealed \
         by, although it has the same id. Give this node the cluster's key, or the URL of another database"
    )]
    WrongKey { id: String },
    #[error("what the database has in place of its sealed root is none; restore it from a backup")]
    Malformed,
}

impl Keyring {
    pub fn parse(text: &str) -> Result<Keyring, InvalidKeyring> {
        let mut keys: Vec<ClusterKey> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = ClusterKey::parse(line).map_err(|problem| InvalidKeyring::Line { line: index + 1, problem })?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(InvalidKeyring::Line { line: index + 1, problem: "this id is there already" });
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(InvalidKeyring::Empty) } else { Ok(Keyring { keys }) }
    }

    /// A line with a new key; its id is random too.
    pub fn generate() -> SecretString {
        let mut bytes = Zeroizing::new([0; 36]);
        OsRng.try_fill_bytes(&mut *bytes).expect("the system's random generator is ready before any process runs");
        let (id, key) = bytes.split_at(4);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        SecretString::from(format!("{id}:{}", BASE64_STANDARD.encode(key)))
    }

    /// To be stored: the id of the first key, and the root sealed by it for this cluster.
    pub fn seal_root(&self, root: &Root, cluster: &str) -> String {
        let first = &self.keys[0];
        format!("{}:{}", first.id, first.sealer.seal(&context(cluster), root.as_bytes()))
    }

    pub fn open_root(&self, sealed: &str, cluster: &str) -> Result<(Root, Renew), OpenError> {
        let (id, sealed) = sealed.split_once(':').ok_or(OpenError::Malformed)?;
        let place = self.keys.iter().position(|key| key.id == id).ok_or_else(|| OpenError::UnknownKey {
            wanted: id.to_owned(),
            found: self.keys.iter().map(|key| key.id.clone()).collect(),
        })?;
        let opened = self.keys[place].sealer.open(&context(cluster), sealed).map_err(|error| match error {
            SealedError::Malformed => OpenError::Malformed,
            SealedError::Refused => OpenError::WrongKey { id: id.to_owned() },
        })?;
        let root = Root::from_slice(&opened).ok_or(OpenError::Malformed)?;
        Ok((root, if place == 0 { Renew::No } else { Renew::Yes }))
    }
}

impl ClusterKey {
    fn parse(line: &str) -> Result<ClusterKey, &'static str> {
        let (id, key) = line.split_once(':').ok_or("there is no `:`")?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if id.is_empty() || id.len() > 64 || !id.bytes().all(allowed) {
            return Err("an id has up to 64 letters, digits, `.`, `_`, `-`");
        }
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(key.trim()).map_err(|_| "what follows `:` is no base64")?);
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| "a key has 32 bytes")?;
        Ok(ClusterKey { id: id.to_owned(), sealer: Sealer::new(bytes) })
    }
}

/// Shows ids alone.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

fn context(cluster: &str) -> String {
    format!("root of the cluster {cluster}")
}

fn listed(ids: &[String]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn ring(lines: &[&str]) -> Keyring {
        Keyring::parse(&lines.join("\n")).expect("a keyring")
    }

    fn line(id: &str, byte: u8) -> String {
        format!("{id}:{}", BASE64_STANDARD.encode([byte; 32]))
    }

    #[test]
    fn a_root_opens_by_any_key_of_the_ring_and_is_renewed_by_the_first() {
        let (old, new) = (line("old", 1), line("new", 2));
        let root = Root::random();
        let sealed = ring(&[&old]).seal_root(&root, "c1");
        let (same, renew) = ring(&["# a comment", "", &old]).open_root(&sealed, "c1").expect("its key");
        assert_eq!((same.as_bytes(), renew), (root.as_bytes(), Renew::No));
        let (same, renew) = ring(&[&new, &old]).open_root(&sealed, "c1").expect("its key is there");
        assert_eq!((same.as_bytes(), renew), (root.as_bytes(), Renew::Yes));
        let renewed = ring(&[&new, &old]).seal_root(&same, "c1");
        assert!(ring(&[&new]).open_root(&renewed, "c1").is_ok());
    }

    #[test]
    fn a_wrong_key_says_which_one_is_wanted() {
        let sealed = ring(&[&line("a", 1)]).seal_root(&Root::random(), "c1");
        let unknown = ring(&[&line("b", 1), &line("c", 2)]).open_root(&sealed, "c1").expect_err("unknown").to_string();
        assert!(unknown.contains("sealed by the key `a`, and the keyring has `b`, `c`"), "{unknown}");
        assert_eq!(
            ring(&[&line("a", 2)]).open_root(&sealed, "c1").err(),
            Some(OpenError::WrongKey { id: "a".to_owned() })
        );
        assert!(ring(&[&line("a", 1)]).open_root(&sealed, "c2").is_err(), "of another cluster");
        assert_eq!(ring(&[&line("a", 1)]).open_root("a:v1.", "c1").err(), Some(OpenError::Malformed));
    }

    #[test]
    fn what_is_no_keyring_is_refused_without_showing_it() {
        let long = BASE64_STANDARD.encode([1; 33]);
        for (text, told) in [
            ("", "there is no key"),
            ("# only a comment", "there is no key"),
            ("s3cret", "line 1: there is no `:`"),
            ("a b:s3cret", "line 1: an id has"),
            ("a:s3cret!", "line 1: what follows"),
            (&format!("a:{long}"), "line 1: a key has 32 bytes"),
            (&format!("{}\n{}", line("a", 1), line("a", 2)), "line 2: this id is there already"),
        ] {
            let error = Keyring::parse(text).expect_err(text).to_string();
            assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn generated_keys_differ_and_hide_themselves() {
        let (one, other) = (Keyring::generate(), Keyring::generate());
        assert_ne!(one.expose_secret(), other.expose_secret());
        let shown = format!("{:?}", Keyring::parse(one.expose_secret()).expect("a keyring"));
        assert!(shown.len() < 16, "{shown}");
    }
}
