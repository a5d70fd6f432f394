use serde_json::json;

use super::*;
use crate::Level;
use crate::entity::{Destination, Grants, Scheme};

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn quickstart() -> Value {
    json!({
        "chain": ["access-log"],
        "services": [{ "name": "orders", "url": "http://127.0.0.1:9000" }],
        "routes": [{ "name": "orders", "service": "orders", "paths": ["/orders"], "chain": ["key-auth", "rate-limit"] }],
        "consumers": [{ "name": "demo", "custom_id": "customer-1", "keys": [{ "key": "demo-key" }] }],
        "plugins": [
            { "name": "key-auth", "grants": { "credentials": true } },
            { "name": "rate-limit", "module": "rate-limiting",
              "config": { "limits": [{ "limit": 10, "window": "1m", "by": "consumer" }] } },
            { "name": "access-log", "module": "file-log", "config": { "path": "access.log" },
              "grants": { "files": ["access.log"] } },
        ],
    })
}

fn assemble(tree: &Value) -> ConfigSet {
    ConfigSet::assemble(tree, None).expect("a valid configuration")
}

/// Every problem as `path: message (hint)`, sorted.
fn problems(tree: &Value) -> Vec<String> {
    let problems = ConfigSet::assemble(tree, None).expect_err("a broken configuration");
    let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn the_quickstart_is_read() {
    let set = assemble(&quickstart());
    let service = &set.services["orders"];
    let expected = Destination::Host { scheme: Scheme::Http, host: "127.0.0.1".into(), port: 9000 };
    assert_eq!(service.destination, expected);
    let consumer = &set.consumers["demo"];
    assert_eq!(consumer.keys[0].id, name("demo-1"));
    assert_eq!(consumer.keys[0].key.expose(), "demo-key");
    assert_eq!(set.plugins["key-auth"].module, name("key-auth"));
    assert_eq!(set.plugins["key-auth"].grants, Grants { credentials: true, ..Grants::default() });
    assert_eq!(assemble(&json!({})), ConfigSet::default());
}

#[test]
fn the_key_of_a_consumer_is_not_shown() {
    let set = assemble(&quickstart());
    assert!(!format!("{set:?}").contains("demo-key"));
}

#[test]
fn unchanged_entities_are_shared_with_the_previous_set() {
    let first = assemble(&quickstart());
    let mut tree = quickstart();
    tree["plugins"][1]["config"]["limits"][0]["limit"] = json!(20);
    let second = ConfigSet::assemble(&tree, Some(&first)).expect("valid");
    assert!(Arc::ptr_eq(&first.routes["orders"], &second.routes["orders"]));
    assert!(Arc::ptr_eq(&first.plugins["key-auth"], &second.plugins["key-auth"]));
    assert!(!Arc::ptr_eq(&first.plugins["rate-limit"], &second.plugins["rate-limit"]));
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let tree = json!({
        "chian": [],
        "chain": ["access-lgo", "key-auth", { "plugin": "key-auth" }],
        "services": [
            { "name": "orders", "url": "ftp://u:p@h" },
            { "name": "users", "upstream": "userz", "timeouts": { "connect": "0s", "response": 5 } },
            { "name": "both", "url": "http://a", "upstream": "users", "path": "/x" },
            { "name": "none" },
        ],
        "upstreams": [
            { "name": "users", "balance": "round-robbin",
              "targets": [{ "address": "a:1", "weight": 0 }, { "address": "A:1", "weight": 0 }, { "address": "a" }] },
            { "name": "idle", "targets": [{ "address": "a:1", "weight": 0 }, { "address": "A:1", "weight": 0 }] },
            { "name": "empty", "targets": [] },
        ],
        "routes": [
            { "name": "orders", "service": "order", "paths": ["orders", "~(", "/{a}{b}"] },
            { "name": "orders", "service": "orders" },
            { "name": "Bad", "service": "orders", "hosts": ["a.com:80"], "strip_path": true },
            { "name": "h", "service": "orders", "headers": { "x-a": "1" }, "methods": ["get"] },
        ],
        "consumers": [
            { "name": "a", "keys": [{ "key": "hunter2-hunter2" }, { "key": "short" }] },
            { "name": "b", "keys": [{ "key": "hunter2-hunter2", "id": "x" }, { "key": "other-key", "id": "x" }] },
        ],
        "snis": [{ "host": "a.com", "certificate": "c" }, { "host": "A.com", "certificate": "c" }],
        "plugins": [{ "name": "key-auth", "grants": { "credentials": true }, "on_error": "open", "isolation": "none" }],
    });
    let found = problems(&tree);
    let expected = [
        "chain[0]: there is no plugin `access-lgo`",
        "chain[2].plugin: the plugin `key-auth` is in this chain twice (to run a module twice, make a second `[[plugins]]` of it with a name of its own)",
        "chian: unknown key `chian` (did you mean `chain`?)",
        "consumers[0].keys[1].key: a key is 8 to 512 visible ASCII characters without spaces",
        "consumers[1].keys[0].key: this key is in use already (a key identifies one consumer, so each needs keys of its own)",
        "consumers[1].keys[1]: another key has the id `x`",
        "plugins[0].isolation: expected \"shared\" or \"request\"",
        "plugins[0].on_error: a plugin that decides who calls can't be skipped when it fails (take \"closed\", or the grant of `credentials` away)",
        "routes[0].paths[0]: a path starts with `/` (as in \"/orders\", \"=/orders\" or \"~/v[0-9]+/.*\")",
        "routes[0].paths[1]: not a regular expression: unclosed group",
        "routes[0].paths[2]: only one parameter fits into a segment (as in \"/users/{id}\" or \"/files/{*rest}\"; a literal brace is doubled)",
        "routes[0].service: there is no service `order` (did you mean `orders`?)",
        "routes[1].name: the name `orders` is taken",
        "routes[1]: the route has no condition: `hosts`, `paths`, `methods`, `headers` or `query` (to match every request write paths = [\"/\"])",
        "routes[2].hosts[0]: a host pattern has no port (leave the port out; every port matches)",
        "routes[2].name: a name starts with a lower-case letter or a digit and has up to 64 of a-z, 0-9, `.`, `_`, `-`",
        "routes[2].strip_path: there is nothing to strip (`paths` needs a prefix such as \"/orders\" for that)",
        "routes[3].headers.x-a: expected a list, found a string (write [\"…\"])",
        "routes[3].methods[0]: methods are written in upper case (as in \"GET\")",
        "services[0].url: the scheme is neither http nor https (as in \"http://10.0.0.1:8080/api\")",
        "services[1].timeouts.connect: must be longer than 0",
        "services[1].timeouts.response: expected a duration such as \"250ms\" or \"5s\", found a number (a duration has a unit, as in response = \"30s\")",
        "services[1].upstream: there is no upstream `userz` (did you mean `users`?)",
        "services[2].upstream: `url` is there as well (a service has only one of the two)",
        "services[3]: `url` or `upstream` is missing (as in url = \"http://10.0.0.1:8080\")",
        "snis[0].certificate: there is no certificate `c` (add [[certificates]] with name = \"c\")",
        "snis[1].certificate: there is no certificate `c` (add [[certificates]] with name = \"c\")",
        "snis[1].host: this host has a certificate already",
        "upstreams[0].balance: expected \"round-robin\" or \"least-requests\" (did you mean \"round-robin\"?)",
        "upstreams[0].targets[2].address: the port is missing (as in \"10.0.0.1:8080\" or \"[::1]:8080\")",
        "upstreams[1].targets: all weights are 0, so no target would be used",
        "upstreams[1].targets[1].address: this target is there already (give one entry a higher `weight` instead)",
        "upstreams[2].targets: the list is empty",
    ];
    for (index, line) in found.iter().enumerate() {
        assert_eq!(Some(&line.as_str()), expected.get(index), "in {found:#?}");
    }
    assert_eq!(found.len(), expected.len());
    assert!(!found.concat().contains("hunter2"), "a key must not be shown");
}

#[test]
fn conditions_are_read_and_checked() {
    let mut tree = quickstart();
    tree["routes"][0]["chain"] = json!([{
        "plugin": "key-auth",
        "when": {
            "methods": ["POST"], "hosts": ["*.example.com"], "paths": ["/admin"], "headers": { "X-Debug": [] },
            "query": { "v": ["1"] }, "addresses": ["10.0.0.0/8"], "not": { "methods": ["GET"] },
        },
    }]);
    let set = assemble(&tree);
    let when = set.routes["orders"].chain[0].when.as_ref().expect("a condition");
    assert_eq!(when.addresses[0].prefix, 8);
    assert_eq!(when.headers[0].name, "x-debug");
    assert_eq!(when.not.as_ref().map(|not| not.methods.len()), Some(1));

    tree["routes"][0]["chain"][0]["when"] =
        json!({ "not": {}, "adresses": ["10.0.0.1/8"], "addresses": ["10.0.0.1/8"] });
    assert_eq!(
        problems(&tree),
        [
            "routes[0].chain[0].when.addresses[0]: the address has bits set after the prefix \
             (write the block's first address, as in \"10.0.0.0/8\")",
            "routes[0].chain[0].when.adresses: unknown key `adresses` (did you mean `addresses`?)",
            "routes[0].chain[0].when.not: never holds: an empty condition always does",
        ]
    );
}

#[test]
fn routes_that_match_alike_are_told_apart_by_priority_only() {
    let route = |name: &str, path: &str, priority: i32| json!({ "name": name, "service": "orders", "paths": [path, "/x"], "methods": ["GET", "PUT"], "priority": priority });
    let mut tree = quickstart();
    tree["routes"] = json!([route("a", "/u/{id}", 0), route("b", "/u/{user}", 0), route("c", "/u/{id}", 1)]);
    tree["routes"][1]["methods"] = json!(["PUT", "GET"]);
    assert_eq!(
        problems(&tree),
        ["routes[1]: matches the same requests as the route `a`, with the same priority \
          (give one of them a higher `priority` or another condition)"]
    );
    tree["routes"][1]["methods"] = json!(["PUT"]);
    assert_eq!(assemble(&tree).routes.len(), 3);
}

#[test]
fn an_inner_entry_stands_in_the_outer_ones_place() {
    let mut tree = quickstart();
    tree["chain"] = json!(["access-log", "rate-limit"]);
    tree["services"][0]["chain"] = json!(["key-auth"]);
    tree["routes"][0]["chain"] = json!([{ "plugin": "rate-limit", "when": { "methods": ["POST"] } }]);
    tree["consumers"][0]["chain"] = json!(["rate-limit"]);
    let set = assemble(&tree);
    let chain = set.route_chain(&set.routes["orders"]);
    let links: Vec<_> =
        chain.links.iter().map(|link| (link.plugin.name.as_str(), link.level, link.when.is_some())).collect();
    assert_eq!(
        links,
        [("access-log", Level::Global, false), ("rate-limit", Level::Route, true), ("key-auth", Level::Service, false),]
    );
    let consumer = set.consumer_chain(&set.consumers["demo"]);
    assert_eq!(consumer.links.len(), 1);
    assert_eq!(consumer.links[0].level, Level::Consumer);
    assert_eq!(
        set.lint_route(&set.routes["orders"]),
        ["`rate-limit` counts by consumer but runs before `key-auth`, which finds out who calls"]
    );
    let plain = assemble(&quickstart());
    assert!(plain.lint_route(&plain.routes["orders"]).is_empty());
}

#[test]
fn a_misspelt_condition_is_no_reason_to_offer_a_route_for_everything() {
    let mut tree = quickstart();
    let route = tree["routes"][0].as_object_mut().expect("a table");
    let paths = route.remove("paths").expect("it has paths");
    route.insert("pahts".to_owned(), paths);
    assert_eq!(problems(&tree), ["routes[0].pahts: unknown key `pahts` (did you mean `paths`?)"]);
}

/// A check that compares each entity with each other one would take minutes here.
#[test]
fn ten_thousand_broken_routes_are_checked_in_time() {
    let routes: Vec<Value> = (0..10_000)
        .map(|i| json!({ "name": format!("route-{i}"), "service": format!("service-{i}x"), "paths": [format!("/r/{i}")], "chain": [format!("plugin-{i}")] }))
        .collect();
    let services: Vec<Value> =
        (0..10_000).map(|i| json!({ "name": format!("service-{i}"), "url": "http://127.0.0.1:9000" })).collect();
    let plugins: Vec<Value> =
        (0..10_000).map(|i| json!({ "name": format!("plugin-{i}"), "module": "rate-limiting" })).collect();
    let mut tree = json!({ "routes": routes, "services": services, "plugins": plugins });
    let started = std::time::Instant::now();
    assert_eq!(problems(&tree).len(), 10_000);
    for (i, route) in tree["routes"].as_array_mut().expect("a list").iter_mut().enumerate() {
        route["service"] = json!(format!("service-{i}"));
    }
    let set = assemble(&tree);
    let again = ConfigSet::assemble(&tree, Some(&set)).expect("valid");
    assert!(Arc::ptr_eq(&set.routes["route-9999"], &again.routes["route-9999"]));
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}
