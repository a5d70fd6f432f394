use std::cell::Cell;
use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::Pepper;

fn key(hash: KeyHash, consumer: &str, id: &str) -> Credential {
    Credential { hash, consumer: consumer.into(), id: id.into(), expires: 0 }
}

fn numbered(n: u32) -> KeyHash {
    Pepper::from_bytes([1; 32]).hash_key(&n.to_le_bytes())
}

const fn never_asked() -> u32 {
    panic!("the clock does not matter")
}

#[test]
fn finds_every_key_of_a_million_and_no_other_in_64_bytes_each() {
    let pepper = Pepper::from_bytes([1; 32]);
    let hash = |n: u32| pepper.hash_key(&n.to_le_bytes());
    let consumers: Vec<Arc<str>> = (0..1000).map(|n| format!("consumer-{n}").into()).collect();
    let made = |n: u32| Credential {
        hash: hash(n),
        consumer: Arc::clone(&consumers[n as usize % consumers.len()]),
        id: format!("k{n}-production").into(),
        expires: 0,
    };
    let credentials = Credentials::of((0..1_000_000).map(made));
    assert_eq!(credentials.len(), 1_000_000);
    assert!(credentials.base.bytes() <= 64 * 1_000_000, "{} bytes", credentials.base.bytes());
    for n in (0..1_000_000).step_by(7) {
        let found = credentials.find(&hash(n), never_asked).unwrap();
        assert_eq!(&**found.consumer, format!("consumer-{}", n % 1000));
        assert_eq!(found.id, format!("k{n}-production"));
    }
    for n in 1_000_000..1_100_000 {
        assert_eq!(credentials.find(&hash(n), never_asked), None);
    }
    let changed = credentials.changed([CredentialEdit::Remove(hash(7)), made(1_000_000).into()]);
    assert!(Arc::ptr_eq(&credentials.base, &changed.base), "a change copies no keys");
    assert_eq!(changed.find(&hash(7), never_asked), None);
    assert!(changed.find(&hash(1_000_000), never_asked).is_some() && credentials.get(&hash(1_000_000)).is_none());
    let many = changed.changed((0..20_000).map(|n| CredentialEdit::Remove(hash(n))));
    assert!(many.overlay.len() == 0 && many.len() == 980_001 && many.iter().count() == many.len());
}

#[test]
fn an_expired_key_is_not_found_and_the_clock_is_asked_only_if_one_expires() {
    let until = |seconds: u32| Credential { expires: seconds, ..key(numbered(1), "a", "1") };
    let credentials = Credentials::of([until(100), key(numbered(2), "a", "2")]);
    let asked = Cell::new(0);
    let clock = |now| {
        let asked = &asked;
        move || {
            asked.set(asked.get() + 1);
            now
        }
    };
    assert!(credentials.find(&numbered(1), clock(99)).is_some());
    assert!(credentials.find(&numbered(1), clock(100)).is_none());
    assert_eq!(asked.get(), 2);
    assert!(credentials.find(&numbered(2), never_asked).is_some());
    assert!(credentials.find(&numbered(3), never_asked).is_none());
    let renewed = credentials.changed([until(200).into()]);
    assert!(renewed.find(&numbered(1), clock(100)).is_some());
}

#[test]
fn an_id_that_is_too_long_is_cut_between_characters() {
    let id = "ö".repeat(200);
    let credentials = Credentials::of([key(numbered(1), "a", &id)]);
    assert_eq!(credentials.get(&numbered(1)).unwrap().id, "ö".repeat(127));
}

#[test]
fn of_two_keys_with_one_hash_the_later_one_counts() {
    let credentials = Credentials::of([key(numbered(1), "a", "1"), key(numbered(1), "b", "2")]);
    assert_eq!(credentials.len(), 1);
    assert_eq!(&**credentials.get(&numbered(1)).unwrap().consumer, "b");
}

#[test]
fn keys_whose_first_bits_are_alike_stay_apart() {
    let hash = |last: u8| {
        let mut bytes = [9; 32];
        bytes[31] = last;
        KeyHash::from_bytes(bytes)
    };
    let credentials = Credentials::of((0..200).map(|n| key(hash(n), "a", &format!("k{n}"))));
    for n in 0..200 {
        assert_eq!(credentials.get(&hash(n)).unwrap().id, format!("k{n}"));
    }
    assert_eq!(credentials.get(&hash(200)), None);
    assert_eq!(Credentials::default().get(&hash(0)), None);
}

/// Few hashes, so that they meet; some with the same first bits, at both ends.
fn any_hash() -> impl Strategy<Value = KeyHash> {
    (prop::sample::select(vec![0, 1, 127, 128, 254, 255]), 0u8..12).prop_map(|(first, last)| {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (first, last);
        KeyHash::from_bytes(bytes)
    })
}

fn any_key() -> impl Strategy<Value = Credential> {
    let consumers = prop::sample::select(vec!["a", "b", "c"]);
    let ids = prop::sample::select(vec!["x", "y", "long-identifier"]);
    (any_hash(), consumers, ids, 0u32..20)
        .prop_map(|(hash, consumer, id, expires)| Credential { expires, ..key(hash, consumer, id) })
}

fn any_edit() -> impl Strategy<Value = CredentialEdit> {
    prop_oneof![any_key().prop_map(CredentialEdit::from), any_hash().prop_map(CredentialEdit::Remove)]
}

/// A change, or one that is large enough for a new base: then that many other keys come and go again.
fn any_change() -> impl Strategy<Value = (Vec<CredentialEdit>, bool)> {
    (prop::collection::vec(any_edit(), 0..12), prop::bool::weighted(0.2))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_find_what_a_map_finds(
        first in prop::collection::vec(any_key(), 0..40),
        changes in prop::collection::vec(any_change(), 0..10),
    ) {
        let mut map: HashMap<KeyHash, Credential> =
            first.iter().map(|credential| (credential.hash, credential.clone())).collect();
        let mut credentials = Credentials::of(first);
        for (edits, rebuilds) in changes {
            let before = credentials.clone();
            let known = map.clone();
            let passing = if rebuilds { LEAST_OVERLAY as u32 + 1 } else { 0 };
            let come = (0..passing).map(|n| key(numbered(n), "passing", "by").into());
            for edit in &edits {
                match edit.clone() {
                    CredentialEdit::Put { hash, consumer, id, expires } => {
                        map.insert(hash, Credential { hash, consumer, id, expires })
                    }
                    CredentialEdit::Remove(hash) => map.remove(&hash),
                };
            }
            credentials = credentials.changed(edits.into_iter().chain(come));
            prop_assert!(!rebuilds || credentials.overlay.len() == 0);
            credentials = credentials.changed((0..passing).map(|n| CredentialEdit::Remove(numbered(n))));
            check(&credentials, &map)?;
            // What was there before is untouched.
            check(&before, &known)?;
        }
    }
}

fn check(credentials: &Credentials, map: &HashMap<KeyHash, Credential>) -> Result<(), TestCaseError> {
    prop_assert_eq!(credentials.len(), map.len());
    for (hash, expected) in map {
        let found = credentials.get(hash);
        prop_assert!(found.is_some_and(|found| same(found, expected)), "{:?}: {:?}", hash, found);
        let is_over = (1..=10).contains(&expected.expires);
        prop_assert_eq!(credentials.find(hash, || 10).is_some(), !is_over);
    }
    let told: Vec<_> = credentials.iter().collect();
    prop_assert_eq!(told.len(), map.len());
    prop_assert!(told.is_sorted_by(|a, b| a.0 < b.0));
    prop_assert!(told.iter().all(|(hash, found)| map.get(hash).is_some_and(|expected| same(*found, expected))));
    Ok(())
}

fn same(found: Found<'_>, expected: &Credential) -> bool {
    *found.consumer == expected.consumer && *found.id == *expected.id && found.expires == expected.expires
}
