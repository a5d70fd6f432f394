//! What differs between two states that share what did not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_model::Name;

/// An entity that is not what it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Change<'s, T> {
    pub(crate) name: &'s Name,
    /// `None`: it is new.
    pub(crate) old: Option<&'s T>,
    /// `None`: it is gone.
    pub(crate) new: Option<&'s T>,
}

/// Shared entities are told by their addresses alone, so that 100,000 of them take about a millisecond.
pub(crate) fn changes<'s, T: PartialEq>(
    old: &'s BTreeMap<Name, Arc<T>>,
    new: &'s BTreeMap<Name, Arc<T>>,
) -> Vec<Change<'s, Arc<T>>> {
    differing(old, new, Arc::ptr_eq, PartialEq::eq)
}

/// Two values that `are_one` have the same name: it is not looked at.
pub(crate) fn differing<'s, T>(
    old: &'s BTreeMap<Name, T>,
    new: &'s BTreeMap<Name, T>,
    are_one: impl Fn(&T, &T) -> bool,
    are_equal: impl Fn(&T, &T) -> bool,
) -> Vec<Change<'s, T>> {
    let mut changes = Vec::new();
    let (mut before, mut after) = (old.iter(), new.iter());
    let (mut gone, mut come) = (before.next(), after.next());
    loop {
        let order = match (gone, come) {
            (Some((_, old)), Some((_, new))) if are_one(old, new) => {
                (gone, come) = (before.next(), after.next());
                continue;
            }
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return changes,
        };
        let (old, new) = (gone.filter(|_| order.is_le()), come.filter(|_| order.is_ge()));
        let (was, is) = (old.map(|(_, value)| value), new.map(|(_, value)| value));
        let same = was.zip(is).is_some_and(|(was, is)| are_equal(was, is));
        if let Some((name, _)) = new.or(old)
            && !same
        {
            changes.push(Change { name, old: was, new: is });
        }
        if order.is_le() {
            gone = before.next();
        }
        if order.is_ge() {
            come = after.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(entries: &BTreeMap<u8, u8>) -> BTreeMap<Name, Arc<u8>> {
        let name = |n: &u8| Name::parse(&format!("n{n}")).unwrap();
        entries.iter().map(|(n, value)| (name(n), Arc::new(*value))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_difference_is_told_once_and_nothing_else(
            shared in prop::collection::btree_map(0u8..20, 0u8..3, 0..10),
            old in prop::collection::btree_map(0u8..20, 0u8..3, 0..10),
            new in prop::collection::btree_map(0u8..20, 0u8..3, 0..10),
        ) {
            let shared = map(&shared);
            let with_shared = |own| {
                let mut own = map(own);
                own.extend(shared.clone());
                own
            };
            let (old, new) = (with_shared(&old), with_shared(&new));
            let told = changes(&old, &new);
            let mut made = old.clone();
            for change in &told {
                prop_assert!(change.old != change.new);
                prop_assert_eq!(change.old, old.get(change.name));
                prop_assert_eq!(change.new, new.get(change.name));
                match change.new {
                    Some(new) => made.insert(change.name.clone(), Arc::clone(new)),
                    None => made.remove(change.name),
                };
            }
            prop_assert_eq!(&made, &new);
            prop_assert!(told.is_sorted_by(|a, b| a.name < b.name));
        }
    }
}
