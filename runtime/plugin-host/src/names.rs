//! Names that an instance's uses resolved to numbers.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// Numbers count from 1 and are the same for all uses of an instance; a name goes with the last use
/// that resolved it, and its number is then given to another one.
pub(crate) struct Names<T> {
    slots: Vec<Option<Slot<T>>>,
    numbers: HashMap<Box<str>, u32, RandomState>,
    free: Vec<u32>,
    by_use: HashMap<u32, HashSet<u32, RandomState>, RandomState>,
}

struct Slot<T> {
    text: Box<str>,
    name: T,
    uses: u32,
}

impl<T> Names<T> {
    /// The number of a name that the use has resolved before.
    pub(crate) fn known(&self, plugin: u32, text: &str) -> Option<u32> {
        let number = self.numbers.get(text)?;
        self.by_use.get(&plugin)?.contains(number).then_some(*number)
    }

    /// `None` when the use, or all of them together, have too many.
    pub(crate) fn resolve(&mut self, plugin: u32, text: &str, name: impl FnOnce() -> T) -> Option<u32> {
        if let Some(number) = self.known(plugin, text) {
            return Some(number);
        }
        let known = self.numbers.get(text).copied();
        let own = self.by_use.entry(plugin).or_default();
        if own.len() >= OF_A_USE || known.is_none() && self.numbers.len() >= OF_AN_INSTANCE {
            return None;
        }
        let number = known.unwrap_or_else(|| {
            let slot = Some(Slot { text: text.into(), name: name(), uses: 0 });
            let number = match self.free.pop() {
                Some(number) => number,
                None => {
                    self.slots.push(None);
                    self.slots.len() as u32
                }
            };
            self.slots[number as usize - 1] = slot;
            self.numbers.insert(text.into(), number);
            number
        });
        own.insert(number);
        if let Some(slot) = &mut self.slots[number as usize - 1] {
            slot.uses += 1;
        }
        Some(number)
    }

    pub(crate) fn find(&self, number: u32) -> Option<&T> {
        let slot = self.slots.get((number as usize).checked_sub(1)?)?;
        slot.as_ref().map(|slot| &slot.name)
    }

    pub(crate) fn forget(&mut self, plugin: u32) {
        for number in self.by_use.remove(&plugin).into_iter().flatten() {
            let place = &mut self.slots[number as usize - 1];
            let Some(slot) = place else { continue };
            slot.uses -= 1;
            if slot.uses == 0 {
                self.numbers.remove(&slot.text);
                self.free.push(number);
                *place = None;
            }
        }
    }
}

impl<T> Default for Names<T> {
    fn default() -> Names<T> {
        Names { slots: Vec::new(), numbers: HashMap::default(), free: Vec::new(), by_use: HashMap::default() }
    }
}

pub(crate) const OF_A_USE: usize = 1024;
const OF_AN_INSTANCE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_with_its_last_use() {
        let mut names = Names::default();
        let mut resolve = |plugin, text: &str| names.resolve(plugin, text, || text.to_owned()).unwrap();
        assert_eq!([resolve(1, "a"), resolve(1, "b"), resolve(2, "b"), resolve(2, "b")], [1, 2, 2, 2]);
        names.forget(1);
        assert_eq!((names.find(1), names.find(2).map(String::as_str), names.find(0)), (None, Some("b"), None));
        assert_eq!(names.resolve(3, "c", || "c".to_owned()), Some(1), "the number is free again");
        names.forget(2);
        names.forget(3);
        assert!(names.numbers.is_empty() && names.by_use.is_empty());
    }

    #[test]
    fn a_use_has_so_many_names_and_leaves_the_others_theirs() {
        let mut names = Names::default();
        let mut resolved =
            |plugin| (0..2000).filter(|n| names.resolve(plugin, &n.to_string(), || *n).is_some()).count();
        assert_eq!([resolved(1), resolved(2)], [OF_A_USE, OF_A_USE]);
    }
}
