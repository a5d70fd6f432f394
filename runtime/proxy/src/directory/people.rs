use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;
use rpds::HashTrieMapSync;
use tollgate_keys::{Credentials, KeyHash, Pepper};
use tollgate_model::entity::Consumer;
use tollgate_plugin_host::Identity;

use super::identity::identity;
use super::recent::Recent;
use crate::snapshot::Change;

/// Consumers and keys: the same from snapshot to snapshot as long as none of them changes.
///
/// Who a key identifies is made when it is first used, and kept for those used of late: made in advance, it
/// would take ten times the memory of the keys.
pub(crate) struct People {
    pepper: Arc<Pepper>,
    credentials: Arc<Credentials>,
    consumers: HashTrieMapSync<Arc<str>, Arc<Consumer>, RandomState>,
    /// By the hash, with the end of the key.
    by_key: Recent<(KeyHash, u32)>,
    anonymous: Recent<Arc<str>>,
    hasher: RandomState,
}

impl People {
    pub(super) fn nobody(pepper: Arc<Pepper>) -> People {
        People::of(pepper, Arc::default(), HashTrieMapSync::default())
    }

    pub(super) fn next(&self, consumers: &[Change<'_, Arc<Consumer>>], credentials: &Arc<Credentials>) -> People {
        let mut known = self.consumers.clone();
        for change in consumers {
            match change.new {
                Some(consumer) => known.insert_mut(consumer.name.shared(), Arc::clone(consumer)),
                None => drop(known.remove_mut(change.name.as_str())),
            }
        }
        People::of(Arc::clone(&self.pepper), Arc::clone(credentials), known)
    }

    fn of(
        pepper: Arc<Pepper>,
        credentials: Arc<Credentials>,
        consumers: HashTrieMapSync<Arc<str>, Arc<Consumer>, RandomState>,
    ) -> People {
        let (by_key, anonymous) = (Recent::for_about(credentials.len()), Recent::for_about(consumers.size()));
        People { pepper, credentials, consumers, by_key, anonymous, hasher: RandomState::default() }
    }

    pub(super) fn know(&self, credentials: &Arc<Credentials>) -> bool {
        Arc::ptr_eq(&self.credentials, credentials)
    }

    pub(super) fn find_key(&self, key: &[u8]) -> Option<Arc<Identity>> {
        let hash = self.pepper.hash_key(key);
        let serves = |(known, expires): &(KeyHash, u32)| *known == hash && (*expires == 0 || *expires > now_seconds());
        self.by_key.get(first_bits(&hash), serves).or_else(|| self.made(hash))
    }

    pub(super) fn find_anonymous(&self, consumer: &str) -> Option<Arc<Identity>> {
        let bits = self.hasher.hash_one(consumer);
        self.anonymous.get(bits, |known| **known == *consumer).or_else(|| {
            let consumer = self.consumers.get(consumer)?;
            let made = Arc::new(identity(consumer, None, true));
            self.anonymous.keep(bits, consumer.name.shared(), &made);
            Some(made)
        })
    }

    /// The identity behind a key that was not used of late. A key whose consumer is not in the set is nobody's.
    fn made(&self, hash: KeyHash) -> Option<Arc<Identity>> {
        let found = self.credentials.find(&hash, now_seconds)?;
        let consumer = self.consumers.get(found.consumer)?;
        let made = Arc::new(identity(consumer, Some(found.id.into()), false));
        self.by_key.keep(first_bits(&hash), (hash, found.expires), &made);
        Some(made)
    }
}

fn first_bits(hash: &KeyHash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Since 1970. A clock that is before that lets keys live.
fn now_seconds() -> u32 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX)
}
