//! What the fuzzer sends to key-auth. Exists only in builds of `cargo xtask fuzz` and in tests, which run it over
//! the seeds in `fuzz/seeds`.

use tollgate_plugin_sdk::query;
use tollgate_plugin_sdk::testing::{Gateway, TestRequest};

use crate::KeyAuth;

/// A request is its key's consumer exactly if it has one key, and that is known; and no key goes to the upstream.
///
/// The first line is the query, the others are values of the key's field. `|` in the first line ends it and begins
/// settings (JSON).
pub fn key_auth(data: &[u8]) {
    let gateway = Gateway::new();
    let (line, rest) = split(data, b'\n');
    let (line, settings) = split(line, b'|');
    if let Ok(settings) = serde_json::from_slice(settings) {
        // Refused or not, it does not fall over.
        let _ = gateway.configure::<KeyAuth>(settings);
    }
    let Ok(line) = std::str::from_utf8(line) else { return };
    if line.contains('#') {
        return;
    }
    gateway.add_consumer("demo", &[KEY]);
    let settings = serde_json::json!({ "headers": ["apikey"], "query": ["apikey"] });
    let plugin = gateway.configure::<KeyAuth>(settings).expect("valid settings");
    let mut request = TestRequest::get(&format!("/?{line}"));
    let mut keys: Vec<Vec<u8>> =
        query::pairs(line.as_bytes()).filter(|(name, _)| **name == *b"apikey").map(|(_, key)| key.to_vec()).collect();
    for value in rest.split(|byte| *byte == b'\n').filter(|value| !value.is_empty()) {
        request = request.with_header("ApiKey", value);
        keys.push(value.to_vec());
    }
    let exchange = gateway.send(&plugin, request);
    let right = matches!(&keys[..], [key] if key == KEY.as_bytes());
    assert_eq!(exchange.consumer.as_deref(), right.then_some("demo"), "with {keys:?}");
    assert_eq!(exchange.response.status, if right { 200 } else { 401 });
    assert_eq!(exchange.upstream.is_some(), right);
    if let Some(upstream) = exchange.upstream {
        assert!(upstream.header("apikey").is_none());
        let query = upstream.query.unwrap_or_default();
        assert!(query::pairs(query.as_bytes()).all(|(name, _)| *name != *b"apikey"), "{query}");
    }
}

fn split(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == at) {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, &[]),
    }
}

const KEY: &str = "k1";

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_hold() {
        let folder = format!("{}/../../fuzz/seeds/key_auth", env!("CARGO_MANIFEST_DIR"));
        for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            super::key_auth(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
