use std::fmt;

use crate::KeyHash;

/// What stands behind each key hash. Immutable and compact: 32 bytes and `V` an entry, and 5 to 11
/// bytes of table; a million entries take well under a second to build.
///
/// Open addressing with linear probing, at most three quarters full. A place is found by the key
/// hash's own bits: they are uniform, and nobody without the pepper can aim them.
pub struct KeyIndex<V> {
    entries: Vec<(KeyHash, V)>,
    /// Positions in `entries` plus 1; 0 is free. The length is a power of two.
    table: Box<[u32]>,
}

/// The same key more than once. Positions count the entries that the index was to be built of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} of the keys are there already", pairs.len())]
pub struct DuplicateKeys {
    /// Each repeated entry: where its key stood first, and where it stands again.
    pub pairs: Vec<(usize, usize)>,
}

impl<V> KeyIndex<V> {
    /// Panics at 2³² entries.
    pub fn build(entries: impl IntoIterator<Item = (KeyHash, V)>) -> Result<KeyIndex<V>, DuplicateKeys> {
        let mut entries: Vec<(KeyHash, V)> = entries.into_iter().collect();
        entries.shrink_to_fit();
        let table = vec![0; (entries.len() * 4 / 3 + 1).next_power_of_two()].into_boxed_slice();
        let mut index = KeyIndex { entries, table };
        let mut pairs = Vec::new();
        for again in 0..index.entries.len() {
            match index.probe(&index.entries[again].0) {
                Probe::Found(first) => pairs.push((first, again)),
                Probe::Free(place) => {
                    index.table[place] = u32::try_from(again + 1).expect("fewer than 2^32 keys");
                }
            }
        }
        if pairs.is_empty() { Ok(index) } else { Err(DuplicateKeys { pairs }) }
    }

    pub fn find(&self, hash: &KeyHash) -> Option<&V> {
        match self.probe(hash) {
            Probe::Found(at) => Some(&self.entries[at].1),
            Probe::Free(_) => None,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&KeyHash, &V)> {
        self.entries.iter().map(|(hash, value)| (hash, value))
    }

    /// Ends: the table is never full.
    fn probe(&self, hash: &KeyHash) -> Probe {
        let mask = self.table.len() - 1;
        let mut place = hash.bits() as usize & mask;
        loop {
            match self.table[place] {
                0 => return Probe::Free(place),
                position if self.entries[position as usize - 1].0 == *hash => {
                    return Probe::Found(position as usize - 1);
                }
                _ => place = (place + 1) & mask,
            }
        }
    }
}

enum Probe {
    Found(usize),
    Free(usize),
}

impl<V> Default for KeyIndex<V> {
    fn default() -> Self {
        KeyIndex { entries: Vec::new(), table: Box::new([0]) }
    }
}

impl<V> fmt::Debug for KeyIndex<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyIndex").field("keys", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pepper;

    #[test]
    fn finds_every_key_of_a_million_and_no_other() {
        let pepper = Pepper::from_bytes([1; 32]);
        let hash = |n: u32| pepper.hash_key(&n.to_le_bytes());
        let index = KeyIndex::build((0..1_000_000).map(|n| (hash(n), n))).expect("no duplicates");
        assert_eq!(index.len(), 1_000_000);
        for n in (0..1_000_000).step_by(7) {
            assert_eq!(index.find(&hash(n)), Some(&n));
        }
        for n in 1_000_000..1_100_000 {
            assert_eq!(index.find(&hash(n)), None);
        }
    }

    #[test]
    fn keys_whose_first_bits_are_alike_stay_apart() {
        let hash = |last: u8| {
            let mut bytes = [9; 32];
            bytes[31] = last;
            KeyHash::from_bytes(bytes)
        };
        let index = KeyIndex::build((0..200).map(|n| (hash(n), n))).expect("no duplicates");
        for n in 0..200 {
            assert_eq!(index.find(&hash(n)), Some(&n));
        }
        assert_eq!(index.find(&hash(200)), None);
    }

    #[test]
    fn names_every_duplicate() {
        let pepper = Pepper::from_bytes([1; 32]);
        let keys: [&[u8]; 5] = [b"a", b"b", b"a", b"c", b"b"];
        let built = KeyIndex::build(keys.iter().enumerate().map(|(n, key)| (pepper.hash_key(key), n)));
        assert_eq!(built.expect_err("a and b come twice").pairs, [(0, 2), (1, 4)]);
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        let hash = Pepper::random().hash_key(b"a");
        assert_eq!(KeyIndex::<()>::default().find(&hash), None);
        assert_eq!(KeyIndex::<()>::build([]).expect("no duplicates").find(&hash), None);
    }
}
