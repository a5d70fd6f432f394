//! Which rules count on the same counters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Algorithm;
use crate::rule::Terms;

/// What rules of one identity, algorithm and window share: the number their counters go by.
#[derive(Debug)]
pub(crate) struct Lineage(u64);

impl Lineage {
    pub fn id(&self) -> u64 {
        self.0
    }
}

/// All lineages that a rule uses, and those whose counters may still matter: an instance of a plugin
/// that traps takes its rules with it, the next one goes on counting.
///
/// Bounded: a lineage without a rule goes once its counters are whole, at the latest when
/// [`MOST_IDLE`] newer ones are idle too.
#[derive(Debug, Default)]
pub(crate) struct Lineages(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    next: u64,
    entries: HashMap<Key, Entry>,
    /// Number of entries at which the next look for idle ones is due.
    prune_at: usize,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    identity: String,
    algorithm: Algorithm,
    window: u64,
}

#[derive(Debug)]
struct Entry {
    lineage: Arc<Lineage>,
    /// When it was first seen without a rule.
    idle_since: Option<u64>,
    /// How long its counters may matter after their last use, in nanoseconds.
    memory: u64,
}

impl Lineages {
    pub fn join(&self, identity: &str, terms: &Terms, now: u64) -> Arc<Lineage> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.entries.len() >= book.prune_at {
            book.prune(now);
        }
        let Book { next, entries, .. } = &mut *book;
        let key = Key { identity: identity.to_owned(), algorithm: terms.algorithm, window: terms.window };
        let entry = entries.entry(key).or_insert_with(|| {
            *next += 1;
            Entry { lineage: Arc::new(Lineage(*next)), idle_since: None, memory: 0 }
        });
        entry.idle_since = None;
        entry.memory = entry.memory.max(memory(terms));
        Arc::clone(&entry.lineage)
    }

    pub fn prune(&self, now: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).prune(now);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }
}

impl Book {
    fn prune(&mut self, now: u64) {
        let mut idle = Vec::new();
        self.entries.retain(|_, entry| {
            // One reference is the book's own; rules are only made under the book's lock.
            if Arc::strong_count(&entry.lineage) > 1 {
                entry.idle_since = None;
                return true;
            }
            let since = *entry.idle_since.get_or_insert(now);
            let keep = now.saturating_sub(since) < entry.memory;
            if keep {
                idle.push((since, entry.lineage.id()));
            }
            keep
        });
        if idle.len() > MOST_IDLE {
            idle.sort_unstable();
            let oldest_kept = idle[idle.len() - MOST_IDLE];
            self.entries
                .retain(|_, entry| entry.idle_since.is_none_or(|since| (since, entry.lineage.id()) >= oldest_kept));
            self.entries.shrink_to_fit();
        }
        self.prune_at = 2 * self.entries.len().max(MOST_IDLE / 2);
    }
}

/// Windows need two of their length (the sliding one's oldest bucket is counted whole), a bucket the
/// time that it takes to fill.
fn memory(terms: &Terms) -> u64 {
    let refill = u128::from(terms.capacity) * u128::from(terms.window) / u128::from(terms.limit);
    u64::try_from(refill).unwrap_or(u64::MAX).max(terms.window.saturating_mul(2))
}

const MOST_IDLE: usize = 1024;
