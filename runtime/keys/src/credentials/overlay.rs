use std::collections::HashMap;
use std::iter::Peekable;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Found;
use super::base::{Base, Entry};
use crate::KeyHash;

/// The latest changes.
#[derive(Clone, Default)]
pub(super) struct Overlay {
    changes: HashMap<KeyHash, Change, RandomState>,
}

#[derive(Clone)]
pub(super) enum Change {
    Put {
        consumer: Arc<str>,
        id: Arc<str>,
        expires: u32,
    },
    /// It is in the base.
    Removed,
}

/// Where a key is.
pub(super) enum At<'c> {
    Base(&'c Entry),
    Overlay(Found<'c>),
}

impl Overlay {
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// `None`: it did not change. `Some(None)`: it was removed.
    pub(super) fn get(&self, hash: &KeyHash) -> Option<Option<Found<'_>>> {
        self.changes.get(hash).map(Change::found)
    }

    pub(super) fn put(&mut self, hash: KeyHash, consumer: Arc<str>, id: Arc<str>, expires: u32) {
        self.changes.insert(hash, Change::Put { consumer, id, expires });
    }

    pub(super) fn remove(&mut self, hash: KeyHash, is_in_base: bool) {
        if is_in_base {
            self.changes.insert(hash, Change::Removed);
        } else {
            self.changes.remove(&hash);
        }
    }
}

impl Change {
    fn found(&self) -> Option<Found<'_>> {
        match self {
            Change::Put { consumer, id, expires } => Some(Found { consumer, id, expires: *expires }),
            Change::Removed => None,
        }
    }
}

impl<'c> At<'c> {
    pub(super) fn found(&self, base: &'c Base) -> Found<'c> {
        match self {
            At::Base(entry) => base.found(entry),
            At::Overlay(found) => *found,
        }
    }
}

/// What there is, in the order of hashes.
pub(super) fn merged<'c>(base: &'c Base, overlay: &'c Overlay) -> impl Iterator<Item = (&'c KeyHash, At<'c>)> {
    let mut changes: Vec<(&KeyHash, &Change)> = overlay.changes.iter().collect();
    changes.sort_by_key(|(hash, _)| **hash);
    Merge { entries: base.entries().iter().peekable(), changes: changes.into_iter().peekable() }
}

struct Merge<E: Iterator, C: Iterator> {
    entries: Peekable<E>,
    changes: Peekable<C>,
}

impl<'c, E, C> Iterator for Merge<E, C>
where
    E: Iterator<Item = &'c Entry>,
    C: Iterator<Item = (&'c KeyHash, &'c Change)>,
{
    type Item = (&'c KeyHash, At<'c>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let change = self.changes.peek().map(|(hash, _)| *hash);
            if let Some(entry) = self.entries.next_if(|entry| change.is_none_or(|change| entry.hash < *change)) {
                return Some((&entry.hash, At::Base(entry)));
            }
            let (hash, change) = self.changes.next()?;
            // The change takes its place.
            let _ = self.entries.next_if(|entry| entry.hash == *hash);
            if let Some(found) = change.found() {
                return Some((hash, At::Overlay(found)));
            }
        }
    }
}
