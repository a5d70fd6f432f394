use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tollgate_keys::KeyHash;

use super::*;

#[test]
fn a_key_is_shown_once_and_then_known_by_its_hash() {
    let bench = Bench::start();
    bench.makes("/consumers", json!({ "name": "demo" }));
    let made = bench.post("/consumers/demo/keys", json!({ "expires_at": "2100-01-01T00:00:00Z" }));
    assert_eq!((made.status, made.field("location")), (201, Some("/consumers/demo/keys/demo-1")), "{}", made.body);
    let key = made.json()["key"].as_str().expect("the key").to_owned();
    assert!(key.starts_with("tg_") && key.starts_with(made.json()["prefix"].as_str().expect("a prefix")));
    let own =
        bench.makes("/consumers/demo/keys", json!({ "id": "own", "key": "my-own-key-1", "expires_at": 4102444800u32 }));
    assert_eq!((&own["key"], &own["prefix"]), (&json!("my-own-key-1"), &json!("my-")));
    let listed = bench.get("/consumers/demo/keys");
    assert!(!listed.body.contains(&key) && !listed.body.contains("my-own-key-1"), "{}", listed.body);
    let ids: Vec<Value> = listed.json()["data"].as_array().expect("keys").iter().map(|key| key["id"].clone()).collect();
    assert_eq!(ids, ["demo-1", "own"]);
    assert_eq!(bench.get("/consumers/demo/keys/own").json()["expires_at"], "2100-01-01T00:00:00.000Z");
    assert_eq!(bench.get("/cache/keys/demo%2Fown").json()["held"]["id"], "own");
    let page = bench.get("/consumers/demo/keys?size=1").json();
    assert_eq!(bench.get(page["next"].as_str().expect("more")).json()["data"][0]["id"], "own");

    let row = stored_hash(&bench, "demo/demo-1");
    let pepper = bench.feed.vault().pepper();
    assert_eq!(row, Some(pepper.hash_key(key.as_bytes())));

    for (body, status) in [
        (json!({ "id": "own" }), 409),
        (json!({ "id": "again", "key": "my-own-key-1" }), 409),
        (json!({ "key": "short" }), 400),
        (json!({ "expires_at": 1 }), 400),
        (json!({ "expires_at": "tomorrow" }), 400),
        (json!({ "ky": "my-own-key-2" }), 400),
        (json!({ "id": "A/B" }), 400),
    ] {
        assert_eq!(bench.post("/consumers/demo/keys", body.clone()).status, status, "{body}");
    }
    assert_eq!(bench.post("/consumers/none/keys", json!({})).status, 404);
    assert_eq!(bench.delete("/consumers/demo/keys/own").status, 204);
    assert_eq!(bench.get("/consumers/demo/keys/own").status, 404);
    assert_eq!(bench.patch("/consumers/demo", json!({ "name": "other" })).status, 409, "keys do not move");
    assert_eq!(bench.delete("/consumers/demo").status, 204);
    assert_eq!(stored_hash(&bench, "demo/demo-1"), None, "keys go with their consumer");
}

/// Which hash a key is found by, from the history.
fn stored_hash(bench: &Bench, name: &str) -> Option<KeyHash> {
    let database = bench.feed.database().clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let row = runtime.block_on(database.row(tollgate_model::Kind::Key, name)).expect("the database");
    row.and_then(|row| KeyHash::from_hex(row.fingerprint.as_deref()?))
}

#[test]
fn keys_sent_with_their_consumer_are_all_that_it_has() {
    let bench = Bench::start();
    bench.makes(
        "/consumers",
        json!({ "name": "demo", "keys": [{ "key": "first-key-1" }, { "id": "b", "key": "second-key" }] }),
    );
    let ids = |bench: &Bench| {
        let listed = bench.get("/consumers/demo/keys").json();
        let keys = listed["data"].as_array().expect("keys").clone();
        keys.iter().map(|key| key["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&bench), ["b", "demo-1"]);
    bench.puts("/consumers/demo", json!({ "groups": ["gold"] }));
    assert_eq!(ids(&bench), ["b", "demo-1"], "unnamed, they stay");
    bench.puts("/consumers/demo", json!({ "keys": [{ "id": "b" }, { "id": "c", "key": "third-key" }] }));
    assert_eq!(ids(&bench), ["b", "c"]);
    assert_eq!(paths(&bench.put("/consumers/demo", json!({ "keys": [{ "id": "d" }] }))), ["consumers.demo.keys[0]"]);
    assert!(!bench.get("/consumers/demo").body.contains("key"), "keys have a list of their own");
}

#[test]
fn nothing_is_told_without_a_token() {
    let bench = Bench::start();
    let mode = std::fs::metadata(bench.folder().join("admin.token")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(bench.token.starts_with("tgt_"), "{}", bench.token);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/routes"),
        ("POST", "/services"),
        ("GET", "/nowhere"),
        ("PUT", "/"),
        ("GET", "/openapi.json"),
    ] {
        let answer = bench.stranger(method, path, &[]);
        assert_eq!(answer.status, 401, "{method} {path}");
        assert!(answer.field("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{path}");
    }
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer tgt_wrong",
        "Basic dGd0",
        &format!("Basic {}", bench.token),
        &format!("Bearer {} x", bench.token),
    ] {
        assert_eq!(bench.stranger("GET", "/routes", &[("Authorization", value)]).status, 401, "{value}");
    }
    let twice = format!("Bearer {}", bench.token);
    let twice = [("Authorization", twice.as_str()), ("Authorization", twice.as_str())];
    assert_eq!(bench.stranger("GET", "/routes", &twice).status, 401);
    assert_eq!(bench.stranger("GET", "/routes", &twice[..1]).status, 200);
    assert_eq!(bench.stranger("GET", "/routes", &[twice[0], ("Origin", "http://evil.test")]).status, 403);
}

#[test]
fn tokens_have_roles_and_the_last_admin_stays() {
    let bench = Bench::start();
    let made = bench.makes("/tokens", json!({ "name": "watcher" }));
    assert_eq!(made["role"], "read-only");
    let reader = made["token"].as_str().expect("the token").to_owned();
    for (method, path, status) in [
        ("GET", "/services", 200),
        ("GET", "/config", 200),
        ("POST", "/config/diff", 200),
        ("POST", "/services", 403),
        ("DELETE", "/cache", 403),
        ("GET", "/tokens", 403),
        ("DELETE", "/tokens/admin", 403),
    ] {
        assert_eq!(bench.holding(&reader, method, path).status, status, "{method} {path}");
    }
    let listed = bench.get("/tokens");
    assert_eq!(names(&listed.json()), ["admin", "watcher"]);
    assert!(!listed.body.contains(&reader) && !listed.body.contains(&bench.token));
    assert_eq!(bench.delete("/tokens/admin").status, 409);
    assert_eq!(bench.post("/tokens", json!({ "name": "watcher" })).status, 409);
    assert_eq!(bench.post("/tokens", json!({ "role": "root" })).status, 400);
    let second = bench.makes("/tokens", json!({ "role": "admin" }));
    assert_eq!(bench.delete("/tokens/admin").status, 204);
    assert_eq!(bench.get("/services").status, 401, "revoked at once");
    let second = second["token"].as_str().expect("the token");
    assert_eq!(bench.holding(second, "DELETE", "/tokens/watcher").status, 204);
    assert_eq!(bench.holding(&reader, "GET", "/services").status, 401);
}
