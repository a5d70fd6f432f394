use serde_json::json;
use tollgate_keys::{Credential, CredentialEdit};

use super::*;

fn set(consumers: serde_json::Value, previous: Option<&ConfigSet>) -> ConfigSet {
    ConfigSet::assemble(&json!({ "consumers": consumers }), previous).unwrap()
}

fn pepper() -> Arc<Pepper> {
    Arc::new(Pepper::from_bytes([1; 32]))
}

fn key(key: &str, consumer: &str, id: &str) -> Credential {
    let hash = pepper().hash_key(key.as_bytes());
    Credential { hash, consumer: consumer.into(), id: id.into(), expires: 0 }
}

fn next(
    before: &Arc<ConsumerDirectory>,
    last: &ConfigSet,
    set: &ConfigSet,
    credentials: &Arc<Credentials>,
) -> Arc<ConsumerDirectory> {
    before.next(last, &Census { set, credentials, prepared: &Prepared::default() }, |_| false)
}

fn first(set: &ConfigSet, credentials: &Arc<Credentials>) -> Arc<ConsumerDirectory> {
    next(&Arc::new(ConsumerDirectory::empty(pepper())), &ConfigSet::default(), set, credentials)
}

fn told(identity: &Identity, header: &str) -> Option<String> {
    let (_, value) = identity.headers.iter().find(|(name, _)| name == header)?;
    Some(value.to_str().unwrap().to_owned())
}

#[test]
fn a_key_identifies_its_consumer_by_the_same_identity_each_time() {
    let set = set(json!([{ "name": "ann", "groups": ["a", "b"] }, { "name": "ben" }]), None);
    let credentials = Arc::new(Credentials::of([key("k1", "ann", "one"), key("k2", "ben", "two")]));
    let directory = first(&set, &credentials);
    let ann = directory.find_key(b"k1").unwrap();
    assert_eq!(told(&ann, "x-consumer-username").as_deref(), Some("ann"));
    assert_eq!(told(&ann, "x-credential-identifier").as_deref(), Some("one"));
    assert_eq!(told(&ann, "x-consumer-groups").as_deref(), Some("a, b"));
    assert_eq!(told(&ann, "x-anonymous-consumer"), None);
    assert!(Arc::ptr_eq(&ann, &directory.find_key(b"k1").unwrap()), "made once");
    assert_eq!(&*directory.find_key(b"k2").unwrap().consumer_name, "ben");
    assert!(directory.find_key(b"k3").is_none());
    let anyone = directory.find_anonymous("ann").unwrap();
    assert_eq!(told(&anyone, "x-anonymous-consumer").as_deref(), Some("true"));
    assert!(Arc::ptr_eq(&anyone, &directory.find_anonymous("ann").unwrap()));
    assert!(directory.find_anonymous("eve").is_none());
}

#[test]
fn more_keys_than_identities_are_kept_are_all_found() {
    let set = set(json!([{ "name": "ann" }]), None);
    let keys: Vec<String> = (0..40_000).map(|n| format!("key-{n}")).collect();
    let credentials = keys.iter().enumerate().map(|(n, text)| key(text, "ann", &format!("k{n}")));
    let directory = first(&set, &Arc::new(Credentials::of(credentials)));
    for _ in 0..2 {
        for (n, text) in keys.iter().enumerate() {
            let found = directory.find_key(text.as_bytes()).unwrap();
            assert_eq!(found.credential_id.as_deref(), Some(&*format!("k{n}")));
        }
    }
}

#[test]
fn a_key_that_is_over_or_whose_consumer_is_gone_is_nobodys() {
    let set = set(json!([{ "name": "ann" }]), None);
    let ended = Credential { expires: 1, ..key("ended", "ann", "e") };
    let later = Credential { expires: u32::MAX, ..key("later", "ann", "l") };
    let credentials = Arc::new(Credentials::of([ended, later, key("lost", "gone", "g")]));
    let directory = first(&set, &credentials);
    for _ in 0..2 {
        assert!(directory.find_key(b"ended").is_none());
        assert!(directory.find_key(b"lost").is_none());
        assert!(directory.find_key(b"later").is_some());
    }
}

#[test]
fn a_change_of_a_key_or_of_a_consumer_is_seen_and_what_did_not_change_is_shared() {
    let ann = json!([{ "name": "ann" }]);
    let old = set(ann.clone(), None);
    let credentials = Arc::new(Credentials::of([key("k1", "ann", "one")]));
    let before = first(&old, &credentials);
    let identity = before.find_key(b"k1").unwrap();
    let same = next(&before, &old, &set(ann.clone(), Some(&old)), &credentials);
    assert!(Arc::ptr_eq(&before, &same));

    let revoked = Arc::new(credentials.changed([CredentialEdit::Remove(pepper().hash_key(b"k1"))]));
    assert!(next(&before, &old, &old, &revoked).find_key(b"k1").is_none());

    let renamed = set(json!([{ "name": "ann", "custom_id": "4711" }]), Some(&old));
    let after = next(&before, &old, &renamed, &credentials);
    assert_eq!(after.find_key(b"k1").unwrap().custom_id.as_deref(), Some("4711"));
    assert_eq!(identity.custom_id, None);

    let gone = set(json!([]), Some(&old));
    assert!(next(&before, &old, &gone, &credentials).find_key(b"k1").is_none());
    assert!(next(&before, &old, &gone, &credentials).find_anonymous("ann").is_none());
}

#[test]
fn a_consumer_that_this_node_cannot_read_is_served_by_nothing_until_it_is_mended() {
    let whole = set(json!([{ "name": "ann" }, { "name": "ben" }]), None);
    let credentials = Arc::new(Credentials::of([key("k1", "ann", "one"), key("k2", "ben", "two")]));
    let before = first(&whole, &credentials);
    let mut broken = whole.clone();
    broken.broken.insert((Kind::Consumer, "ann".to_owned()), "unknown key".to_owned());
    let is_closed = |directory: &ConsumerDirectory, key: &str| {
        let identity = directory.find_key(key.as_bytes()).unwrap();
        directory.chain(&identity).is_some_and(Result::is_err)
    };
    assert!(!is_closed(&before, "k1"));
    let after = next(&before, &whole, &broken, &credentials);
    assert!(is_closed(&after, "k1") && !is_closed(&after, "k2"));
    assert_eq!(after.chains().count(), 1);
    let mended = next(&after, &broken, &whole, &credentials);
    assert!(!is_closed(&mended, "k1"));
    assert_eq!(mended.chains().count(), 0);
}
