//! All that a node knows of its cluster's configuration, at one revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_keys::{CredentialEdit, Credentials, KeyHash};
use tollgate_model::set::EntityEdit;
use tollgate_model::{ConfigSet, Kind};
use tollgate_store::database::{Change, Revision, Row, Step};

use super::tokens::{Token, TokenBody, Tokens};
use super::vault::Vault;

/// Immutable; the next one shares with it what did not change.
#[derive(Clone, Debug)]
pub struct Known {
    pub revision: Revision,
    pub set: Arc<ConfigSet>,
    pub credentials: Arc<Credentials>,
    pub tokens: Arc<Tokens>,
    pub modules: Arc<BTreeMap<String, StoredModule>>,
}

/// A module that the cluster has; its bytes are asked for by digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredModule {
    /// BLAKE3 of the bytes, in hexadecimal digits.
    pub digest: String,
    pub size: u64,
    pub version: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub hooks: Vec<String>,
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Of a plugin's settings (JSON Schema).
    pub schema: Value,
}

impl Default for Known {
    /// Before anything was written.
    fn default() -> Known {
        Known {
            revision: Revision::NONE,
            set: Arc::default(),
            credentials: Arc::default(),
            tokens: Arc::default(),
            modules: Arc::default(),
        }
    }
}

impl Known {
    /// What these rows are, all there are at `revision`. Takes its time with many of them.
    pub fn of_rows(revision: Revision, rows: impl IntoIterator<Item = Row>, vault: &Vault) -> Known {
        let mut next = Pending::default();
        rows.into_iter().for_each(|row| next.put(&row, vault));
        Known::default().with(next, revision)
    }

    /// As [`Known::of_rows`], sharing with what was known before what is equal.
    pub fn anew(&self, revision: Revision, rows: impl IntoIterator<Item = Row>, vault: &Vault) -> Known {
        let mut next = Known::of_rows(revision, rows, vault);
        Arc::make_mut(&mut next.set).share(&self.set);
        next
    }

    /// What is known after one more revision.
    pub fn follow(&self, step: &Step, vault: &Vault) -> Known {
        self.changed(&step.changes, step.revision.clone(), vault)
    }

    /// As [`Known::follow`], of changes that need not be a revision yet.
    pub fn changed(&self, changes: &[Change], revision: Revision, vault: &Vault) -> Known {
        let mut next = Pending::default();
        for change in changes {
            match &change.after {
                Some(row) => {
                    next.forget_hash(change, row);
                    next.put(row, vault);
                }
                None => next.delete(change),
            }
        }
        self.clone().with(next, revision)
    }

    fn with(self, next: Pending, revision: Revision) -> Known {
        let Pending { entities, unreadable, keys, tokens, modules } = next;
        let mut known = Known { revision, ..self };
        if !entities.is_empty() {
            let mut set = known.set.follow(&entities);
            set.broken.extend(unreadable);
            known.set = Arc::new(set);
        }
        if !keys.is_empty() {
            known.credentials = Arc::new(known.credentials.changed(keys));
        }
        if !tokens.is_empty() {
            let all = Arc::make_mut(&mut known.tokens);
            for edit in tokens {
                match edit {
                    TokenEdit::Put(hash, token) => all.put(hash, token),
                    TokenEdit::Delete(name) => all.remove(&name),
                }
            }
        }
        if !modules.is_empty() {
            let all = Arc::make_mut(&mut known.modules);
            for (name, module) in modules {
                match module {
                    Some(module) => all.insert(name, module),
                    None => all.remove(&name),
                };
            }
        }
        known
    }
}

/// What changes, read once.
#[derive(Default)]
struct Pending {
    entities: Vec<EntityEdit>,
    /// What can't be opened or read on this node.
    unreadable: BTreeMap<(Kind, String), String>,
    keys: Vec<CredentialEdit>,
    tokens: Vec<TokenEdit>,
    modules: Vec<(String, Option<StoredModule>)>,
}

enum TokenEdit {
    Put(KeyHash, Token),
    Delete(String),
}

impl Pending {
    fn put(&mut self, row: &Row, vault: &Vault) {
        let outcome = match row.kind {
            Kind::Key => key(row).map(|edit| self.keys.push(edit)),
            Kind::Token => token(row).map(|edit| self.tokens.push(edit)),
            Kind::Module => serde_json::from_str(&row.body)
                .map(|module| self.modules.push((row.name.clone(), Some(module))))
                .map_err(|error| error.to_string()),
            _ => {
                self.entity(row, vault);
                Ok(())
            }
        };
        if let Err(reason) = outcome {
            // Without its hash or its role it lets nobody in.
            tracing::error!(kind = row.kind.word(), name = row.name, reason, "a stored row can't be used on this node");
        }
    }

    fn entity(&mut self, row: &Row, vault: &Vault) {
        let opened = vault.open(row.kind, &row.name, &row.body);
        let mut body = opened.body;
        if let (Value::Object(table), false) = (&mut body, row.tags.is_empty()) {
            table.insert("tags".to_owned(), row.tags.clone().into());
        }
        if let Some(problem) = opened.problem {
            tracing::error!(
                kind = row.kind.word(),
                name = row.name,
                problem,
                "a stored row can't be used on this node"
            );
            self.unreadable.insert((row.kind, row.name.clone()), problem);
        }
        self.entities.push(EntityEdit { kind: row.kind, name: row.name.clone(), body: Some(body) });
    }

    /// The key or token may have another hash than before.
    fn forget_hash(&mut self, change: &Change, row: &Row) {
        let Some(before) = &change.before else { return };
        if row.kind == Kind::Key
            && before.fingerprint != row.fingerprint
            && let Some(hash) = hash_of(before)
        {
            self.keys.push(CredentialEdit::Remove(hash));
        }
    }

    fn delete(&mut self, change: &Change) {
        let Change { kind, name, before, .. } = change;
        match kind {
            Kind::Key => self.keys.extend(before.as_ref().and_then(hash_of).map(CredentialEdit::Remove)),
            Kind::Token => self.tokens.push(TokenEdit::Delete(name.clone())),
            Kind::Module => self.modules.push((name.clone(), None)),
            _ => self.entities.push(EntityEdit { kind: *kind, name: name.clone(), body: None }),
        }
    }
}

/// What of a key's body a node serves by.
#[derive(Deserialize)]
struct KeyBody {
    expires_at: Option<i64>,
}

fn key(row: &Row) -> Result<CredentialEdit, String> {
    let body: KeyBody = serde_json::from_str(&row.body).map_err(|error| error.to_string())?;
    let hash = hash_of(row).ok_or("it has no hash")?;
    let (consumer, id) = row.name.split_once('/').ok_or("its name is not that of a key")?;
    // A key that ends within a second ends with it: never later than was asked for.
    let expires = body.expires_at.map_or(0, |at| u32::try_from((at / 1000).max(1)).unwrap_or(u32::MAX));
    Ok(CredentialEdit::Put { hash, consumer: consumer.into(), id: id.into(), expires })
}

fn token(row: &Row) -> Result<TokenEdit, String> {
    let body: TokenBody = serde_json::from_str(&row.body).map_err(|error| error.to_string())?;
    let hash = hash_of(row).ok_or("it has no hash")?;
    let token = Token { name: row.name.clone(), role: body.role, expires_at: body.expires_at };
    Ok(TokenEdit::Put(hash, token))
}

fn hash_of(row: &Row) -> Option<KeyHash> {
    KeyHash::from_hex(row.fingerprint.as_deref()?)
}
