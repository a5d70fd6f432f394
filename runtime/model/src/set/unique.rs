//! What may be there only once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;

use super::references::rows;
use crate::Problems;
use crate::decode::Place;
use crate::problem::Problem;

/// Reports equal names within a section, hosts with two certificates, and API keys that would
/// identify two consumers.
pub(super) fn check(tree: &Value, problems: &mut Problems) {
    for section in ["services", "upstreams", "routes", "consumers", "certificates", "plugins"] {
        names(tree, section, problems);
    }
    hosts(tree, problems);
    keys(tree, problems);
}

fn names(tree: &Value, section: &str, problems: &mut Problems) {
    let place = Place::Root.key(section);
    let mut seen = HashMap::new();
    for (index, row) in rows(tree, section) {
        let Some(name) = row.get("name").and_then(Value::as_str) else { continue };
        if let Some(first) = first_of(&mut seen, name, index) {
            let message = format!("the name `{name}` is taken");
            let problem = Problem::new(&place.index(index).key("name"), message);
            problems.add(problem.with_elsewhere(&place.index(first).key("name"), "first used here"));
        }
    }
}

fn hosts(tree: &Value, problems: &mut Problems) {
    let place = Place::Root.key("snis");
    let mut seen = HashMap::new();
    for (index, row) in rows(tree, "snis") {
        let Some(host) = row.get("host").and_then(Value::as_str) else { continue };
        if let Some(first) = first_of(&mut seen, host.to_ascii_lowercase(), index) {
            let problem = Problem::new(&place.index(index).key("host"), "this host has a certificate already");
            problems.add(problem.with_elsewhere(&place.index(first).key("host"), "first named here"));
        }
    }
}

/// Never shows the key.
fn keys(tree: &Value, problems: &mut Problems) {
    let root = Place::Root;
    let consumers = root.key("consumers");
    let mut seen = HashMap::new();
    for (consumer, row) in rows(tree, "consumers") {
        for (index, key) in rows(row, "keys") {
            let Some(key) = key.get("key").and_then(Value::as_str) else { continue };
            if let Some((owner, position)) = first_of(&mut seen, key, (consumer, index)) {
                let (here, there) = (consumers.index(consumer), consumers.index(owner));
                let (here, there) = (here.key("keys"), there.key("keys"));
                let problem = Problem::new(&here.index(index).key("key"), "this key is in use already");
                problems.add(
                    problem
                        .with_elsewhere(&there.index(position).key("key"), "first used here")
                        .with_hint("a key identifies one consumer, so each needs keys of its own"),
                );
            }
        }
    }
}

/// Where `value` was seen first, if this is not the first time.
fn first_of<K: Eq + std::hash::Hash, P: Copy>(seen: &mut HashMap<K, P>, value: K, position: P) -> Option<P> {
    match seen.entry(value) {
        Entry::Occupied(first) => Some(*first.get()),
        Entry::Vacant(free) => {
            free.insert(position);
            None
        }
    }
}
