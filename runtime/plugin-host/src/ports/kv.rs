use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;

/// Values that plugins keep on this node. Sharded; each plugin name has a space and a share of its own.
pub(crate) struct KvStore {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    spaces: HashMap<Arc<str>, Space, RandomState>,
}

#[derive(Default)]
struct Space {
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
    bytes: usize,
}

struct Entry {
    value: Bytes,
    expires: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KvFailure {
    TooLarge,
    Full,
}

impl KvStore {
    pub(crate) fn new() -> KvStore {
        KvStore { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }

    pub(crate) fn get(&self, plugin: &Arc<str>, key: &[u8]) -> Option<Bytes> {
        let shard = self.shard(key);
        let entry = shard.spaces.get(plugin)?.entries.get(key)?;
        entry.alive(Instant::now()).then(|| entry.value.clone())
    }

    pub(crate) fn set(
        &self,
        plugin: &Arc<str>,
        key: &[u8],
        value: Bytes,
        time_to_live: Option<Duration>,
    ) -> Result<(), KvFailure> {
        self.shard(key).space(plugin).set(key, value, time_to_live)
    }

    /// Sets only if the live value is `expected`.
    pub(crate) fn compare_and_set(
        &self,
        plugin: &Arc<str>,
        key: &[u8],
        expected: Option<&[u8]>,
        value: Bytes,
        time_to_live: Option<Duration>,
    ) -> Result<bool, KvFailure> {
        let mut shard = self.shard(key);
        let space = shard.space(plugin);
        let now = Instant::now();
        let current = space.entries.get(key).filter(|entry| entry.alive(now)).map(|entry| &entry.value[..]);
        if current != expected {
            return Ok(false);
        }
        space.set(key, value, time_to_live).map(|()| true)
    }

    pub(crate) fn delete(&self, plugin: &Arc<str>, key: &[u8]) -> bool {
        let mut shard = self.shard(key);
        let Some(space) = shard.spaces.get_mut(plugin) else { return false };
        let Some((key, entry)) = space.entries.remove_entry(key) else { return false };
        space.bytes -= weight(&key, &entry.value);
        entry.alive(Instant::now())
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        // A poisoned shard holds no half-made state: every change is one map operation.
        self.shards[index].lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Shard {
    fn space(&mut self, plugin: &Arc<str>) -> &mut Space {
        if !self.spaces.contains_key(plugin) {
            self.spaces.insert(Arc::clone(plugin), Space::default());
        }
        self.spaces.get_mut(plugin).expect("inserted above")
    }
}

impl Space {
    fn set(&mut self, key: &[u8], value: Bytes, time_to_live: Option<Duration>) -> Result<(), KvFailure> {
        if key.len() > KEY_BYTES || value.len() > VALUE_BYTES {
            return Err(KvFailure::TooLarge);
        }
        let now = Instant::now();
        let old = self.entries.get(key).map_or(0, |entry| weight(key, &entry.value));
        let new = weight(key, &value);
        if self.bytes - old + new > SHARE_BYTES / SHARDS {
            self.sweep(now);
            let old = self.entries.get(key).map_or(0, |entry| weight(key, &entry.value));
            if self.bytes - old + new > SHARE_BYTES / SHARDS {
                return Err(KvFailure::Full);
            }
        }
        let expires = time_to_live.and_then(|ttl| now.checked_add(ttl));
        let replaced = self.entries.insert(key.into(), Entry { value, expires });
        self.bytes = self.bytes + new - replaced.map_or(0, |entry| weight(key, &entry.value));
        Ok(())
    }

    fn sweep(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.entries.retain(|key, entry| {
            let alive = entry.alive(now);
            if !alive {
                *bytes -= weight(key, &entry.value);
            }
            alive
        });
    }
}

impl Entry {
    fn alive(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

fn weight(key: &[u8], value: &Bytes) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD
}

const SHARDS: usize = 16;
const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 64 << 10;
const SHARE_BYTES: usize = 16 << 20;
const ENTRY_OVERHEAD: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_two_plugins_are_apart() {
        let kv = KvStore::new();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        kv.set(&a, b"k", Bytes::from_static(b"1"), None).unwrap();
        assert_eq!(kv.get(&a, b"k").as_deref(), Some(&b"1"[..]));
        assert_eq!(kv.get(&b, b"k"), None);
    }

    #[test]
    fn compare_and_set_needs_the_expected_value() {
        let kv = KvStore::new();
        let a: Arc<str> = "a".into();
        let put = |expected: Option<&[u8]>, new: &'static [u8]| {
            kv.compare_and_set(&a, b"k", expected, Bytes::from_static(new), None).unwrap()
        };
        assert!(put(None, b"1"));
        assert!(!put(None, b"2"));
        assert!(put(Some(b"1"), b"2"));
        assert!(kv.delete(&a, b"k"));
        assert!(!kv.delete(&a, b"k"));
    }

    #[test]
    fn a_share_is_bounded_and_expired_values_make_room() {
        let kv = KvStore::new();
        let a: Arc<str> = "a".into();
        let big = Bytes::from(vec![0; VALUE_BYTES]);
        let mut stored = 0;
        for i in 0..1000u32 {
            if kv.set(&a, &i.to_be_bytes(), big.clone(), Some(Duration::ZERO)).is_ok() {
                stored += 1;
            }
        }
        assert_eq!(stored, 1000, "values that expire at once never fill the share");
        let kept = (0..1000u32).filter(|i| kv.set(&a, &i.to_be_bytes(), big.clone(), None).is_ok()).count();
        assert!(kept * VALUE_BYTES <= SHARE_BYTES, "{kept}");
        assert_eq!(kv.set(&a, &[0; 300], Bytes::new(), None), Err(KvFailure::TooLarge));
    }
}
