use serde_json::{Value, json};

use super::*;

fn tree() -> Value {
    json!({
        "chain": ["log"],
        "plugins": [{ "name": "log", "module": "file-log", "config": { "path": "a.log", "token": "canary" } }],
        "services": [{ "name": "orders", "url": "http://a:1" }],
        "routes": [{ "name": "orders", "service": "orders", "paths": ["/orders"] }],
        "consumers": [{ "name": "demo", "keys": [{ "key": "demo-key-1" }] }],
    })
}

fn changed(answer: &Value) -> Vec<(&str, &str, &str)> {
    let word = |change: &'_ Value, key: &str| change[key].as_str().expect("a word").to_owned();
    let changes = answer["changes"].as_array().expect("changes");
    assert_eq!(answer["count"], changes.len());
    changes
        .iter()
        .map(|change| {
            let words = [word(change, "action"), word(change, "kind"), word(change, "name")];
            let [action, kind, name] = words.map(|word| &*word.leak());
            (action, kind, name)
        })
        .collect()
}

#[test]
fn a_tree_is_applied_in_one_revision_and_only_what_differs_is_written() {
    let bench = Bench::start();
    let applied = bench.post("/config", tree());
    assert_eq!(applied.status, 200, "{}", applied.body);
    assert_eq!(applied.json()["count"], 6, "{}", applied.body);
    let revision = applied.json()["revision"].clone();
    let again = bench.post("/config", bench.get("/config").json());
    assert_eq!((again.status, &again.json()["changes"]), (200, &json!([])), "{}", again.body);
    assert_eq!(again.json()["revision"], revision, "nothing to write");
    assert_eq!(bench.feed.known().set.plugins["log"].config["token"], "canary");
    assert_eq!(bench.get("/consumers/demo/keys").json()["data"][0]["id"], "demo-1");

    let mut next = tree();
    next["routes"] = json!([]);
    next["services"][0]["url"] = json!("http://b:1");
    next["consumers"] = json!([{ "name": "demo" }, { "name": "new" }]);
    let diff = bench.post("/config/diff", next.clone()).json();
    let expected = [("updated", "service", "orders"), ("created", "consumer", "new"), ("deleted", "route", "orders")];
    assert_eq!(changed(&diff), expected);
    assert_eq!(
        (&diff["changes"][0]["before"]["url"], &diff["changes"][0]["after"]["url"]),
        (&json!("http://a:1"), &json!("http://b:1"))
    );
    assert_eq!(bench.get("/routes/orders").status, 200);
    assert_eq!(changed(&bench.post("/config?prune=false", next.clone()).json()), expected[..2]);
    assert_eq!(changed(&bench.post("/config", next).json()), expected[2..]);
    assert_eq!(bench.get("/routes/orders").status, 404);
    assert_eq!(bench.get("/consumers/demo/keys").json()["data"][0]["id"], "demo-1", "keys that are not named stay");
    assert_eq!(bench.get("/tokens").json()["data"][0]["name"], "admin");
}

#[test]
fn a_tree_that_is_wrong_changes_nothing_and_all_is_told() {
    let bench = Bench::start().with_orders();
    let wrong = json!({
        "sevices": [], "services": [{ "url": "http://a" }, { "name": "a", "url": "x" }, 5], "plugins": {},
        "routes": [{ "name": "r", "service": "a", "paths": ["/"] }, { "name": "r", "service": "a", "paths": ["/"] }],
    });
    let mut found = paths(&bench.post("/config", wrong));
    found.sort();
    assert_eq!(found, ["plugins", "routes[1].name", "services[0]", "services[2]", "sevices"]);
    let wrong = json!({ "routes": [{ "name": "r", "service": "none", "paths": ["x"] }] });
    assert_eq!(bench.post("/config", wrong).status, 400);
    assert_eq!(bench.get("/routes/orders").status, 200);
}

#[test]
fn the_tree_can_be_had_and_sent_as_toml() {
    let bench = Bench::start().with_orders();
    let text = bench.get("/config?format=toml");
    assert_eq!(text.field("content-type"), Some("application/toml"));
    assert!(
        text.body.contains("[[services]]") && text.body.contains("url = \"http://127.0.0.1:9000\""),
        "{}",
        text.body
    );
    let back = bench.send("POST", "/config", &[], Some(("application/toml", &text.body)));
    assert_eq!((back.status, &back.json()["changes"]), (200, &json!([])), "{}", back.body);
    assert_eq!(bench.get("/config?format=yaml").status, 400);
}
