use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::overlay::{At, Overlay, merged};
use super::{Credential, Found};
use crate::KeyHash;

/// Keys in the order of their hashes: 44 bytes each, and their ids.
///
/// Hashes are uniform, and nobody without the pepper can aim them: their first bits say where to look, up to
/// the few entries that have them too.
pub(super) struct Base {
    entries: Box<[Entry]>,
    /// Where the entries begin whose hashes start with these bits, and as the last one where all end.
    starts: Box<[u32]>,
    /// Each name once.
    consumers: Box<[Arc<str>]>,
    /// Of each its length, in a byte, and its text.
    ids: Box<[u8]>,
}

pub(super) struct Entry {
    pub(super) hash: KeyHash,
    consumer: u32,
    id: u32,
    expires: u32,
}

impl Base {
    /// Of two with the same hash the later one is taken.
    pub(super) fn of(mut credentials: Vec<Credential>) -> Base {
        credentials.sort_by_key(|credential| credential.hash);
        let mut maker = Maker::with_capacity(credentials.len());
        for (i, Credential { hash, consumer, id, expires }) in credentials.iter().enumerate() {
            if credentials.get(i + 1).is_none_or(|next| next.hash != *hash) {
                let consumer = maker.consumer(consumer);
                maker.push(*hash, consumer, id, *expires);
            }
        }
        maker.finish()
    }

    /// `base` with the changes that lie over it; `len` keys.
    pub(super) fn merged(base: &Base, overlay: &Overlay, len: usize) -> Base {
        let mut maker = Maker::with_capacity(len);
        let mut known: Vec<Option<u32>> = vec![None; base.consumers.len()];
        for (hash, at) in merged(base, overlay) {
            let found = at.found(base);
            let consumer = match at {
                At::Base(entry) => {
                    *known[entry.consumer as usize].get_or_insert_with(|| maker.consumer(found.consumer))
                }
                At::Overlay(_) => maker.consumer(found.consumer),
            };
            maker.push(*hash, consumer, found.id, found.expires);
        }
        maker.finish()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, hash: &KeyHash) -> Option<Found<'_>> {
        let bucket = bucket(hash, self.starts.len() - 1);
        let near = &self.entries[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        let at = near.binary_search_by_key(hash, |entry| entry.hash).ok()?;
        Some(self.found(&near[at]))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn found(&self, entry: &Entry) -> Found<'_> {
        let start = entry.id as usize + 1;
        let id = &self.ids[start..start + usize::from(self.ids[start - 1])];
        let id = str::from_utf8(id).expect("it was cut between characters");
        Found { consumer: &self.consumers[entry.consumer as usize], id, expires: entry.expires }
    }

    /// On the heap, without the texts of consumers' names, which others share.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.starts) + size_of_val(&*self.consumers) + self.ids.len()
    }
}

impl Default for Base {
    fn default() -> Base {
        Maker::with_capacity(0).finish()
    }
}

/// Takes keys in the order of their hashes.
struct Maker {
    entries: Vec<Entry>,
    consumers: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u32, RandomState>,
    ids: Vec<u8>,
}

impl Maker {
    fn with_capacity(entries: usize) -> Maker {
        let entries = Vec::with_capacity(entries);
        Maker { entries, consumers: Vec::new(), known: HashMap::default(), ids: Vec::new() }
    }

    fn consumer(&mut self, name: &Arc<str>) -> u32 {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let number = place(self.consumers.len());
        self.consumers.push(Arc::clone(name));
        self.known.insert(Arc::clone(name), number);
        number
    }

    fn push(&mut self, hash: KeyHash, consumer: u32, id: &str, expires: u32) {
        let entry = Entry { hash, consumer, id: place(self.ids.len()), expires };
        self.entries.push(entry);
        let id = &id[..id.floor_char_boundary(u8::MAX.into())];
        self.ids.push(id.len() as u8);
        self.ids.extend_from_slice(id.as_bytes());
    }

    fn finish(self) -> Base {
        let buckets = (self.entries.len() / ENTRIES_PER_BUCKET).next_power_of_two().min(MOST_BUCKETS);
        let mut starts = Vec::with_capacity(buckets + 1);
        for (i, entry) in self.entries.iter().enumerate() {
            while starts.len() <= bucket(&entry.hash, buckets) {
                starts.push(place(i));
            }
        }
        starts.resize(buckets + 1, place(self.entries.len()));
        Base {
            entries: self.entries.into_boxed_slice(),
            starts: starts.into_boxed_slice(),
            consumers: self.consumers.into_boxed_slice(),
            ids: self.ids.into_boxed_slice(),
        }
    }
}

/// By the first bits of the hash; `buckets` is a power of two.
fn bucket(hash: &KeyHash, buckets: usize) -> usize {
    let [a, b, c, d, ..] = *hash.as_bytes();
    let first = u64::from(u32::from_be_bytes([a, b, c, d]));
    ((first * buckets as u64) >> 32) as usize
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("fewer than 2^32 keys, and bytes of their ids")
}

const ENTRIES_PER_BUCKET: usize = 4;
/// As many as the bits that are looked at can tell apart, and more than fit into memory.
const MOST_BUCKETS: usize = 1 << 31;
