//! Who may use the admin API.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tollgate_keys::KeyHash;

/// Tokens by their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    by_hash: HashMap<KeyHash, Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    pub role: Role,
    /// Milliseconds since 1970.
    pub expires_at: Option<i64>,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads and writes.
    Admin,
    ReadOnly,
}

/// A token's body as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenBody {
    pub role: Role,
    pub prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl Tokens {
    /// `now`: milliseconds since 1970.
    pub fn find(&self, hash: &KeyHash, now: i64) -> Option<&Token> {
        let token = self.by_hash.get(hash)?;
        token.expires_at.is_none_or(|expires_at| now < expires_at).then_some(token)
    }

    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    pub(super) fn put(&mut self, hash: KeyHash, token: Token) {
        self.remove(&token.name.clone());
        self.by_hash.insert(hash, token);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.by_hash.retain(|_, token| token.name != name);
    }
}
