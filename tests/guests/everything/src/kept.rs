//! The store of small values.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value as Json, json};
use tollgate_plugin_sdk::kv::{self, Failure};
use tollgate_plugin_sdk::{Value, clock};

/// One value from its beginning to its end, in this order.
pub fn steps() -> Json {
    let store = kv::node();
    let read = || store.get(KEY).map(Value::text);
    let another = || Some(Value::new("another"));
    json!({
        "absent": read(),
        "set": done(store.set(KEY, "one", None)),
        "read": read(),
        "swapped_for_nothing": told(store.compare_and_set(KEY, None, "two", None)),
        "swapped_for_another": told(store.compare_and_set(KEY, another(), "two", None)),
        "unchanged": read(),
        "swapped": told(store.compare_and_set(KEY, store.get(KEY), "two", None)),
        "changed": read(),
        "deleted": store.delete(KEY),
        "deleted_again": store.delete(KEY),
        "gone": read(),
        "swapped_for_another_while_gone": told(store.compare_and_set(KEY, another(), "three", None)),
        "swapped_for_nothing_while_gone": told(store.compare_and_set(KEY, None, "three", None)),
        "back": read(),
        "deleted_at_last": store.delete(KEY),
    })
}

/// Keys and values as large as they may be, and larger by a byte.
pub fn bounds() -> Json {
    let store = kv::node();
    let length = || store.get(KEY).map(Value::len);
    let (largest, larger) = (vec![7_u8; VALUE_BYTES], vec![7_u8; VALUE_BYTES + 1]);
    let (longest, longer) = ("k".repeat(KEY_BYTES), "k".repeat(KEY_BYTES + 1));
    json!({
        "largest": done(store.set(KEY, &largest, None)),
        "its_length": length(),
        "larger": done(store.set(KEY, &larger, None)),
        "larger_by_swap": told(store.compare_and_set(KEY, store.get(KEY), &larger, None)),
        "length_afterwards": length(),
        "longest_key": done(store.set(&longest, "kept", None)),
        "its_value": store.get(&longest).map(Value::text),
        "longer_key": done(store.set(&longer, "kept", None)),
        "value_of_the_longer_key": store.get(&longer).map(Value::text),
        "empty": done(store.set(KEY, "", None)),
        "length_of_the_empty": length(),
    })
}

/// What is left of values with a time to live, some time later.
pub fn lifetimes() -> Json {
    let store = kv::node();
    let (moment, hour) = (Some(Duration::from_millis(1)), Some(Duration::from_secs(3600)));
    let set = [
        done(store.set("moment", "short", moment)),
        done(store.set("hour", "long", hour)),
        told(store.compare_and_set("swapped-moment", None, "short", moment)),
        told(store.compare_and_set("swapped-hour", None, "long", hour)),
    ];
    clock::sleep(Duration::from_millis(20));
    let read = |key: &str| store.get(key).map(Value::text);
    json!({
        "set": set,
        "moment": read("moment"),
        "hour": read("hour"),
        "swapped_moment": read("swapped-moment"),
        "swapped_hour": read("swapped-hour"),
        "deleted_after_its_moment": store.delete("moment"),
        "deleted_within_its_hour": store.delete("hour"),
    })
}

/// What one scope keeps, read from the other.
pub fn scopes() -> Json {
    let (node, cluster) = (kv::node(), kv::cluster());
    json!({
        "set": done(node.set("scope", "of the node", None)),
        "read": cluster.get("scope").map(Value::text),
        "deleted": cluster.delete("scope"),
        "gone": node.get("scope").map(Value::text),
    })
}

/// Why the first value that was not kept was not, and the length of the first that was.
pub fn full() -> Json {
    let (store, value) = (kv::node(), vec![7_u8; VALUE_BYTES]);
    let failure = (0..VALUES).find_map(|n| store.set(n.to_le_bytes(), &value, None).err());
    json!({
        "failure": failure.map(|failure| format!("{failure:?}")),
        "first": store.get(0_u32.to_le_bytes()).map(Value::len),
    })
}

fn done(outcome: Result<(), Failure>) -> Json {
    told(outcome.map(|()| "done"))
}

fn told(outcome: Result<impl Serialize, Failure>) -> Json {
    match outcome {
        Ok(value) => json!(value),
        Err(failure) => json!(format!("{failure:?}")),
    }
}

const KEY: &str = "key";
const KEY_BYTES: usize = 256;
const VALUE_BYTES: usize = 64 << 10;
/// So many of the largest are a plugin's whole share, without their keys.
const VALUES: u32 = 256;
