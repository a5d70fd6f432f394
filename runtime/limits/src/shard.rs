//! A part of the counting map, under one lock.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use crate::Standing;
use crate::counter::Counter;
use crate::rule::Terms;

/// Counters by (lineage, key). They stand in one dense list, so that a cursor can pass over them bit
/// by bit to drop what expired.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    /// Positions in `slots`, by the slots' hashes.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    cursor: usize,
    /// Length of all keys together.
    key_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Slot {
    hash: u64,
    lineage: u64,
    key: Arc<[u8]>,
    /// From then on it is whole, and worth nothing.
    expires_at: u64,
    counter: Counter,
}

/// Most that a shard holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub counters: usize,
    pub key_bytes: usize,
}

impl Shard {
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn find(&self, hash: u64, lineage: u64, key: &[u8]) -> Option<usize> {
        let matches = |&at: &u32| {
            let slot = &self.slots[at as usize];
            slot.lineage == lineage && *slot.key == *key
        };
        self.index.find(hash, matches).map(|&at| at as usize)
    }

    pub fn slot(&self, at: usize) -> &Slot {
        &self.slots[at]
    }

    /// A new, whole counter. Does not look at the room that is left: [`Shard::make_room`] does.
    pub fn insert(&mut self, hash: u64, lineage: u64, key: Arc<[u8]>, terms: &Terms) -> usize {
        let at = self.slots.len();
        let position = u32::try_from(at).expect("the capacity keeps a shard far below 2^32 counters");
        self.key_bytes += key.len();
        self.slots.push(Slot { hash, lineage, key, expires_at: 0, counter: Counter::new(terms.algorithm) });
        let slots = &self.slots;
        self.index.insert_unique(hash, position, |&at| slots[at as usize].hash);
        at
    }

    /// Changes a counter by `change`.
    pub fn update(&mut self, at: usize, terms: &Terms, now: u64, change: impl FnOnce(&mut Counter)) -> &Slot {
        let slot = &mut self.slots[at];
        change(&mut slot.counter);
        slot.expires_at = now.saturating_add(slot.counter.reset_after(terms, now));
        slot
    }

    /// Drops a few expired counters, and while there are too many, those that would expire first among
    /// the next [`SAMPLE`]: a limit that forgets too early is better than a process without memory. What
    /// it costs an attacker to push a counter out is as many new keys as the limiter holds, within
    /// the counter's remaining time.
    pub fn make_room(&mut self, now: u64, room: Room) {
        for _ in 0..STEPS {
            if self.slots.is_empty() {
                return;
            }
            let at = self.advance();
            if self.slots[at].expires_at <= now {
                self.remove(at);
            }
        }
        while self.slots.len() > room.counters || self.key_bytes > room.key_bytes {
            let mut sample: [usize; SAMPLE] = [0; SAMPLE];
            sample.fill_with(|| self.advance());
            let soonest = sample.into_iter().min_by_key(|&at| self.slots[at].expires_at).unwrap_or_default();
            self.remove(soonest);
        }
    }

    /// Drops everything that expired.
    pub fn sweep(&mut self, now: u64) {
        let mut at = 0;
        while at < self.slots.len() {
            if self.slots[at].expires_at <= now { self.remove(at) } else { at += 1 }
        }
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
            let slots = &self.slots;
            self.index.shrink_to(slots.len() * 2, |&at| slots[at as usize].hash);
        }
    }

    /// The cursor's next position. There is at least one slot.
    fn advance(&mut self) -> usize {
        self.cursor = (self.cursor + 1) % self.slots.len();
        self.cursor
    }

    fn remove(&mut self, at: usize) {
        let gone = self.slots.swap_remove(at);
        self.key_bytes -= gone.key.len();
        if let Ok(entry) = self.index.find_entry(gone.hash, |&position| position as usize == at) {
            entry.remove();
        }
        // The last slot took the free place.
        if let Some(moved) = self.slots.get(at) {
            let from = self.slots.len();
            if let Some(position) = self.index.find_mut(moved.hash, |&position| position as usize == from) {
                *position = at as u32;
            }
        }
    }
}

impl Slot {
    pub fn key(&self) -> &Arc<[u8]> {
        &self.key
    }

    pub fn counter(&self) -> &Counter {
        &self.counter
    }

    pub fn standing(&self, terms: &Terms, now: u64) -> Standing {
        Standing {
            limit: terms.capacity,
            remaining: self.counter.remaining(terms, now),
            reset_after: Duration::from_nanos(self.expires_at.saturating_sub(now)),
        }
    }
}

/// Expired slots looked for with each new counter: more than one, so that they go faster than they come.
const STEPS: usize = 4;
const SAMPLE: usize = 16;
