use std::collections::{BTreeSet, HashMap};
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
    entries: HashMap<Arc<[u8]>, Entry, RandomState>,
    /// Of entries that end, soonest first: room is made without looking at the others.
    ends: BTreeSet<(Instant, Arc<[u8]>)>,
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
        if key.len() > KEY_BYTES {
            return None;
        }
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
        checked(key, &value)?;
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
        checked(key, &value)?;
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
        if key.len() > KEY_BYTES {
            return false;
        }
        let mut shard = self.shard(key);
        let Some(space) = shard.spaces.get_mut(plugin) else { return false };
        space.remove(key).is_some_and(|entry| entry.alive(Instant::now()))
    }

    /// Frees what plugins kept that are not there any more.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            shard.spaces.retain(|plugin, _| is_there(plugin));
        }
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

/// Before anything is hashed or a lock is taken.
fn checked(key: &[u8], value: &[u8]) -> Result<(), KvFailure> {
    match key.len() > KEY_BYTES || value.len() > VALUE_BYTES {
        true => Err(KvFailure::TooLarge),
        false => Ok(()),
    }
}

impl Space {
    fn set(&mut self, key: &[u8], value: Bytes, time_to_live: Option<Duration>) -> Result<(), KvFailure> {
        let now = Instant::now();
        let old = self.entries.get(key).map_or(0, |entry| weight(key, &entry.value));
        if self.bytes - old + weight(key, &value) > SHARE_BYTES / SHARDS {
            // The old value goes with its own end only: a refused write changes nothing.
            self.drop_ended(now);
            let old = self.entries.get(key).map_or(0, |entry| weight(key, &entry.value));
            if self.bytes - old + weight(key, &value) > SHARE_BYTES / SHARDS {
                return Err(KvFailure::Full);
            }
        }
        self.remove(key);
        let (key, expires) = (Arc::<[u8]>::from(key), time_to_live.and_then(|ttl| now.checked_add(ttl)));
        self.bytes += weight(&key, &value);
        self.ends.extend(expires.map(|end| (end, Arc::clone(&key))));
        self.entries.insert(key, Entry { value, expires });
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.bytes -= weight(&key, &entry.value);
        if let Some(end) = entry.expires {
            self.ends.remove(&(end, key));
        }
        Some(entry)
    }

    fn drop_ended(&mut self, now: Instant) {
        while let Some((end, _)) = self.ends.first()
            && *end <= now
            && let Some((_, key)) = self.ends.pop_first()
        {
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= weight(&key, &entry.value);
            }
        }
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

    #[test]
    fn what_removed_plugins_kept_is_freed() {
        let kv = KvStore::new();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for plugin in [&a, &b] {
            kv.set(plugin, b"k", Bytes::from_static(b"1"), None).unwrap();
        }
        kv.retain(|name| name == "b");
        assert_eq!((kv.get(&a, b"k"), kv.get(&b, b"k").as_deref()), (None, Some(&b"1"[..])));
        assert!(kv.shards.iter().all(|shard| !shard.lock().unwrap().spaces.contains_key("a")));
    }

    #[test]
    fn an_overwritten_value_leaves_no_end_behind() {
        let mut space = Space::default();
        for _ in 0..3 {
            space.set(b"k", Bytes::from_static(b"1"), Some(Duration::from_secs(60))).unwrap();
        }
        assert_eq!((space.ends.len(), space.bytes), (1, weight(b"k", &Bytes::from_static(b"1"))));
        space.set(b"k", Bytes::new(), None).unwrap();
        assert!(space.ends.is_empty());
        space.remove(b"k");
        assert_eq!(space.bytes, 0);
    }
}
