//! Names of entities.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// `^[a-z0-9][a-z0-9._-]{0,63}$`: safe in paths, URLs, metric labels and file names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a name starts with a lower-case letter or a digit and has up to 64 of a-z, 0-9, `.`, `_`, `-`")]
pub struct InvalidName;

impl Name {
    pub fn parse(text: &str) -> Result<Name, InvalidName> {
        let rest_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        let first_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let valid = bytes.len() <= 64
            && bytes.first().is_some_and(|&b| first_allowed(b))
            && bytes.iter().all(|&b| rest_allowed(b));
        if valid { Ok(Name(text.into())) } else { Err(InvalidName) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Name::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}
