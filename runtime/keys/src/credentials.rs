//! All API keys of a node: about 60 bytes each, found by their hash, changed without copying them all.

mod base;
mod overlay;

use std::fmt;
use std::sync::Arc;

use crate::KeyHash;
use base::Base;
use overlay::Overlay;

/// API keys by their hash. Immutable; a changed one shares what did not change.
///
/// Nearly all keys are in a compact base that old and new states share; the latest changes lie over it,
/// until there are so many that the base is made anew.
#[derive(Clone, Default)]
pub struct Credentials {
    base: Arc<Base>,
    overlay: Overlay,
    len: usize,
}

/// An API key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub hash: KeyHash,
    /// Whose it is.
    pub consumer: Arc<str>,
    /// What tells it from the consumer's others, in up to 255 bytes: of a longer one the beginning is kept.
    pub id: Arc<str>,
    /// When it ends, in seconds since 1970; 0: never.
    pub expires: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialEdit {
    /// Adds a key, or takes the place of the one with its hash. The fields are those of [`Credential`].
    Put {
        hash: KeyHash,
        consumer: Arc<str>,
        id: Arc<str>,
        expires: u32,
    },
    Remove(KeyHash),
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'c> {
    pub consumer: &'c Arc<str>,
    pub id: &'c str,
    /// In seconds since 1970; 0: never.
    pub expires: u32,
}

impl Credentials {
    /// Of two with the same hash the later one counts. A million take some tenths of a second.
    ///
    /// Panics when the ids together are longer than 4 GiB.
    pub fn of(credentials: impl IntoIterator<Item = Credential>) -> Credentials {
        let base = Base::of(credentials.into_iter().collect());
        Credentials { len: base.len(), base: Arc::new(base), overlay: Overlay::default() }
    }

    /// Takes time by the number of edits, and of those since the base was made; now and then by that of all
    /// keys.
    #[must_use]
    pub fn changed(&self, edits: impl IntoIterator<Item = CredentialEdit>) -> Credentials {
        let mut changed = self.clone();
        for edit in edits {
            changed.edit(edit);
        }
        if changed.overlay.len() > LEAST_OVERLAY.max(self.base.len() / BASE_PER_CHANGE) {
            changed.base = Arc::new(Base::merged(&changed.base, &changed.overlay, changed.len));
            changed.overlay = Overlay::default();
        }
        changed
    }

    /// The key with this hash, if there is one that is not over. The clock, in seconds since 1970, is asked
    /// only where it matters.
    pub fn find(&self, hash: &KeyHash, now_seconds: impl FnOnce() -> u32) -> Option<Found<'_>> {
        self.get(hash).filter(|found| !found.is_over(now_seconds))
    }

    /// As [`Credentials::find`], expired ones too.
    pub fn get(&self, hash: &KeyHash) -> Option<Found<'_>> {
        match self.overlay.get(hash) {
            Some(change) => change,
            None => self.base.get(hash),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, expired ones too, in the order of their hashes: equal contents are told in equal order.
    pub fn iter(&self) -> impl Iterator<Item = (&KeyHash, Found<'_>)> {
        overlay::merged(&self.base, &self.overlay).map(|(hash, at)| (hash, at.found(&self.base)))
    }

    fn edit(&mut self, edit: CredentialEdit) {
        let (CredentialEdit::Put { hash, .. } | CredentialEdit::Remove(hash)) = edit;
        let was = self.get(&hash).is_some();
        let is = matches!(edit, CredentialEdit::Put { .. });
        match edit {
            CredentialEdit::Put { hash, consumer, id, expires } => self.overlay.put(hash, consumer, id, expires),
            CredentialEdit::Remove(hash) => self.overlay.remove(hash, self.base.get(&hash).is_some()),
        }
        self.len = self.len + usize::from(is) - usize::from(was);
    }
}

impl Found<'_> {
    /// Whether it has ended. The clock, in seconds since 1970, is asked only if it ends at all.
    pub fn is_over(&self, now_seconds: impl FnOnce() -> u32) -> bool {
        self.expires != 0 && self.expires <= now_seconds()
    }
}

impl From<Credential> for CredentialEdit {
    fn from(Credential { hash, consumer, id, expires }: Credential) -> CredentialEdit {
        CredentialEdit::Put { hash, consumer, id, expires }
    }
}

/// Their number: what they are is nobody's business.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("keys", &self.len).finish_non_exhaustive()
    }
}

/// Changes that lie over a base before it is made anew: so many, or one for each so many keys of the base.
const LEAST_OVERLAY: usize = 4096;
const BASE_PER_CHANGE: usize = 100;

#[cfg(test)]
mod tests;
