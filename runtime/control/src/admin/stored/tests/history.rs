use serde_json::{Value, json};

use super::*;

#[test]
fn every_change_can_be_looked_up() {
    let bench = Bench::start().with_orders();
    let made = bench.puts("/services/orders", json!({ "url": "http://b:1" })).json()["revision"].clone();
    let listed = bench.get("/revisions?size=2").json();
    let first = &listed["data"][0];
    assert_eq!(
        (&first["revision"], &first["author"], &first["action"]),
        (&made, &json!("admin"), &json!("PUT /services/orders"))
    );
    assert_eq!(first["changes"], json!([{ "action": "updated", "kind": "service", "name": "orders" }]));
    let older = bench.get(listed["next"].as_str().expect("older ones")).json();
    assert_eq!(older["data"][0]["revision"], 2);
    let one = bench.get(&format!("/revisions/{made}")).json();
    let change = &one["changes"][0];
    assert_eq!(
        (&change["before"]["url"], &change["after"]["url"]),
        (&json!("http://127.0.0.1:9000"), &json!("http://b:1"))
    );
    for number in ["999", "x", "-1", "99999999999999999999"] {
        assert_eq!(bench.get(&format!("/revisions/{number}")).status, 404, "{number}");
        assert_eq!(bench.post(&format!("/revisions/{number}/rollback"), json!({})).status, 404, "{number}");
    }
    let audit = bench.get("/audit?size=1").json();
    assert_eq!((&audit["data"][0]["node"], &audit["data"][0]["author"]), (&json!("node-1"), &json!("admin")));
    assert_eq!(
        bench.get(audit["next"].as_str().expect("older ones")).json()["data"][0]["action"],
        "PUT /routes/orders"
    );
}

#[test]
fn going_back_brings_everything_back_but_what_was_revoked() {
    let bench = Bench::start().with_orders();
    bench.makes(
        "/consumers",
        json!({ "name": "demo", "keys": [{ "id": "a", "key": "demo-key-a" }, { "id": "b", "key": "demo-key-b" }] }),
    );
    bench.makes("/consumers", json!({ "name": "gone", "keys": [{ "id": "a", "key": "gone-key-a" }] }));
    let then = bench.makes("/plugins", json!({ "name": "p", "config": { "password": "canary" } }))["revision"].clone();
    assert_eq!(bench.delete("/consumers/demo/keys/a").status, 204);
    assert_eq!(bench.delete("/consumers/gone").status, 204);
    assert_eq!(bench.delete("/plugins/p").status, 204);
    bench.puts("/services/orders", json!({ "url": "http://b:1" }));
    bench.makes("/consumers", json!({ "name": "newer", "keys": [{ "key": "newer-key" }] }));
    bench.makes("/tokens", json!({ "name": "newer" }));
    let back = bench.post(&format!("/revisions/{then}/rollback"), json!({}));
    assert_eq!(back.status, 200, "{}", back.body);
    assert_eq!(bench.get("/services/orders").json()["url"], "http://127.0.0.1:9000");
    assert_eq!(bench.feed.known().set.plugins["p"].config["password"], "canary");
    let statuses = ["demo/keys/a", "demo/keys/b", "gone/keys/a", "newer"]
        .map(|path| bench.get(&format!("/consumers/{path}")).status);
    assert_eq!(statuses, [404, 200, 200, 404], "what was revoked stays so, what went with its consumer comes back");
    assert_eq!(bench.get("/tokens/newer").status, 200);
}

#[test]
fn what_a_node_holds_can_be_seen_and_loaded_anew() {
    let bench = Bench::start().with_orders();
    let held = bench.get("/cache/routes/orders").json();
    assert_eq!(
        (&held["held"]["service"], &held["problem"], &held["applied"]),
        (&json!("orders"), &Value::Null, &held["revision"])
    );
    assert_eq!(bench.get("/cache/routes/none").status, 404);
    assert_eq!(bench.get("/cache/tokens/admin").status, 404);
    assert_eq!(bench.get("/cache/none/orders").status, 404);
    let before = bench.feed.status().loads;
    assert_eq!(bench.delete("/cache").status, 204);
    let all = bench.delete("/cache?scope=cluster");
    assert!(all.field("x-tollgate-revision").is_some(), "{all:?}");
    assert_eq!(bench.get("/revisions?size=1").json()["data"][0]["action"], "DELETE /cache");
    assert!(bench.feed.status().loads > before);
    assert_eq!(bench.delete("/cache?scope=world").status, 400);
}

#[test]
fn a_write_can_wait_for_nodes_and_tells_who_is_behind() {
    let bench = Bench::start();
    let waited = bench.put("/services/a?wait=cluster&timeout=50ms", json!({ "url": "http://a:1" }));
    assert_eq!(waited.status, 201, "nobody else is there: {}", waited.body);
    bench.beat("other", 1);
    let late = bench.put("/services/a?wait=cluster&timeout=50ms", json!({ "url": "http://b:1" }));
    assert_eq!((late.status, &late.json()["behind"][0]["node"]), (202, &json!("other")), "{}", late.body);
    let late = bench.delete("/services/a?wait=cluster&timeout=50ms");
    assert_eq!((late.status, &late.json()["behind"][0]["revision"]), (202, &json!(1)), "{}", late.body);
    bench.beat("other", 1000);
    assert_eq!(bench.put("/services/a?wait=cluster", json!({ "url": "http://c:1" })).status, 201);
    assert_eq!(bench.put("/services/a?wait=world", json!({ "url": "http://c:1" })).status, 400);
}
