use std::fmt;

use super::ChainEntry;
use crate::Name;

/// Somebody who calls services through the gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    pub name: Name,
    /// The operator's own id for the consumer.
    pub custom_id: Option<String>,
    pub groups: Vec<String>,
    pub keys: Vec<KeyCredential>,
    /// Second part of the chain: starts once the first part, authentication included, is done.
    pub chain: Vec<ChainEntry>,
    pub tags: Vec<String>,
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCredential {
    /// What the upstream is told (`X-Credential-Identifier`) and logs show. Never the key itself.
    /// Default: `{consumer}-{position}`.
    pub id: Name,
    pub key: SecretText,
}

/// Text that must not be shown: its `Debug` hides it and it has no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretText(String);

impl SecretText {
    pub fn new(text: impl Into<String>) -> Self {
        SecretText(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}
