use serde_json::{Value, json};
use tollgate_model::ConfigSet;

use super::*;
use crate::node::PluginState;
use crate::testing::{FakeNode, Running};

/// Every kind of entity with everything that it can say. Secrets are called `canary…`.
pub(super) fn everything() -> Value {
    json!({
        "chain": ["access-log"],
        "services": [
            { "name": "orders", "url": "http://127.0.0.1:9000/api", "chain": ["rate-limit"], "tags": ["shop"],
              "timeouts": { "connect": "250ms", "response": "90s", "idle": "1h" } },
            { "name": "billing", "upstream": "billing", "scheme": "https", "path": "/v2" },
            { "name": "six", "url": "https://[::1]/" },
        ],
        "upstreams": [{
            "name": "billing", "balance": "least-requests",
            "targets": [{ "address": "b.internal:8443", "weight": 10 }, { "address": "[fd00::1]:8443" }],
        }],
        "routes": [
            { "name": "orders", "service": "orders", "chain": [
                { "plugin": "rate-limit", "when": {
                    "methods": ["POST"], "hosts": ["*.example.com"], "paths": ["=/x"], "addresses": ["10.0.0.0/8", "::1"],
                    "headers": { "x-debug": [] }, "query": { "v": ["1"] }, "not": { "methods": ["GET"] } } },
                "key-auth",
              ],
              "hosts": ["shop.example.com", "*.shop.example.com"],
              "paths": ["/orders", "=/exact", "/users/{id}", "~/v[0-9]+/.*"], "methods": ["GET", "POST"],
              "headers": { "x-version": ["1", "2"] }, "query": { "beta": [] },
              "priority": -5, "strip_path": true, "preserve_host": true, "tags": ["public"] },
            { "name": "billing", "service": "billing", "paths": ["/"] },
        ],
        "consumers": [
            { "name": "demo", "custom_id": "customer-1", "groups": ["gold"], "chain": ["access-log"],
              "keys": [{ "key": "canary-key-1" }, { "id": "second", "key": "canary-key-2" }] },
        ],
        "certificates": [{ "name": "main", "certificate_file": "main.pem", "key_file": "main.key" }],
        "snis": [{ "host": "*.example.com", "certificate": "main" }],
        "plugins": [
            { "name": "key-auth", "grants": { "credentials": true } },
            { "name": "rate-limit", "module": "rate-limiting", "limits": { "cpu": "5ms" },
              "config": { "limits": [{ "limit": 10, "window": "1m", "by": "consumer" }] } },
            { "name": "access-log", "module": "file-log", "on_error": "open", "isolation": "request",
              "grants": { "files": ["access.log"], "standard_output": true }, "config": { "path": "access.log" } },
        ],
    })
}

pub(super) fn serve(node: FakeNode) -> Running {
    Running::start(|listener, shutdown| serve_admin(listener, Arc::new(node), AdminOptions::default(), shutdown))
}

#[test]
fn what_is_shown_can_be_read_back() {
    let node = FakeNode::serving(&everything());
    let before = Arc::clone(&node.set);
    let mut shown = serve(node).get("/config").json();
    for (id, key) in [(0, "canary-key-1"), (1, "canary-key-2")] {
        shown["consumers"][0]["keys"][id]["key"] = key.into();
    }
    let after = ConfigSet::assemble(&shown, None).unwrap_or_else(|problems| panic!("{problems}\n{shown:#}"));
    assert_eq!(after, *before);
}

#[test]
fn entities_are_shown_one_by_one_and_as_lists() {
    let running = serve(FakeNode::serving(&everything()));
    for (path, count) in [("services", 3), ("upstreams", 1), ("routes", 2), ("consumers", 1), ("certificates", 1)] {
        let list = running.get(&format!("/{path}")).json();
        let rows = list["data"].as_array().expect("rows");
        assert_eq!(rows.len(), count, "{path}");
        assert_eq!(list["next"], Value::Null);
        for row in rows {
            let name = row["name"].as_str().expect("a name");
            assert_eq!(&running.get(&format!("/{path}/{name}")).json(), row);
        }
        let missing = running.get(&format!("/{path}/none"));
        assert_eq!(missing.status, 404);
        assert!(missing.message().contains("`none`"), "{missing:?}");
    }
    assert_eq!(running.get("/snis").json()["data"], json!([{ "host": "*.example.com", "certificate": "main" }]));
    let targets = running.get("/upstreams/billing/targets").json();
    let expected =
        json!([{ "address": "[fd00::1]:8443", "weight": 100 }, { "address": "b.internal:8443", "weight": 10 }]);
    assert_eq!(targets["data"], expected);
    for path in ["/nothing", "/services/", "/routes/orders/none", "/upstreams/none/targets", "/routes/%ff"] {
        let answer = running.get(path);
        assert_eq!((answer.status, answer.message().is_empty()), (404, false), "{path}");
    }
}

#[test]
fn shapes_and_words_are_those_of_the_file() {
    let running = serve(FakeNode::serving(&everything()));
    let service = running.get("/services/orders").json();
    assert_eq!(service["url"], "http://127.0.0.1:9000/api");
    assert_eq!(service["timeouts"], json!({ "connect": "250ms", "response": "90s", "idle": "1h" }));
    assert_eq!(running.get("/services/six").json()["url"], "https://[::1]");
    let route = running.get("/routes/orders").json();
    assert_eq!(route["paths"], json!(["/orders", "=/exact", "/users/{id}", "~/v[0-9]+/.*"]));
    assert_eq!(route["headers"], json!({ "x-version": ["1", "2"] }));
    assert_eq!(running.get("/routes/billing").json().get("hosts"), None);
    let consumer = running.get("/consumers/demo").json();
    assert_eq!(consumer["keys"], json!([{ "id": "demo-1" }, { "id": "second" }]));
}

#[test]
fn the_chain_of_a_route_is_shown_as_it_runs() {
    let running = serve(FakeNode::serving(&everything()));
    let chain = running.get("/routes/orders/chain").json();
    let order: Vec<_> = chain["data"]
        .as_array()
        .expect("links")
        .iter()
        .map(|link| (link["plugin"].as_str().expect("a plugin"), link["level"].as_str().expect("a level")))
        .collect();
    assert_eq!(order, [("access-log", "global"), ("rate-limit", "route"), ("key-auth", "route")]);
    assert_eq!(chain["data"][1]["when"]["methods"], json!(["POST"]));
    assert_eq!(chain["data"][1]["when"]["addresses"], json!(["10.0.0.0/8", "::1"]));
    assert_eq!(chain["data"][0].get("when"), None);
    let warning = chain["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("`rate-limit`") && warning.contains("`key-auth`"), "{warning}");
    assert_eq!(running.get("/routes/billing/chain").json()["warnings"], json!([]));
    assert_eq!(running.get("/routes/none/chain").status, 404);
}

#[test]
fn plugins_are_shown_with_how_they_fare_and_where_they_stand() {
    let mut node = FakeNode::serving(&everything());
    node.plugins.retain(|plugin| plugin.name != "access-log");
    for plugin in node.plugins.iter_mut().filter(|plugin| plugin.name == "key-auth") {
        plugin.state = PluginState::Degraded;
        plugin.reason = Some("its module is broken".to_owned());
    }
    let running = serve(node);
    let list = running.get("/plugins").json();
    let names: Vec<&Value> = list["data"].as_array().expect("rows").iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["access-log", "key-auth", "rate-limit"]);
    let modules: Vec<&Value> = list["modules"].as_array().expect("rows").iter().map(|row| &row["name"]).collect();
    assert_eq!(modules, ["key-auth", "rate-limiting"]);
    assert_eq!(running.get("/modules").json()["data"], list["modules"]);

    let log = running.get("/plugins/access-log").json();
    assert_eq!(log, list["data"][0]);
    assert_eq!(log["state"], Value::Null);
    assert_eq!(log["used_by"], json!(["global", "consumer demo"]));
    assert_eq!((&log["on_error"], &log["isolation"]), (&json!("open"), &json!("request")));
    let keys = &list["data"][1];
    assert_eq!((&keys["state"], &keys["reason"]), (&json!("degraded"), &json!("its module is broken")));
    let limit = &list["data"][2];
    assert_eq!(
        (&limit["state"], &limit["generation"], &limit["module"]),
        (&json!("ready"), &json!(3), &json!("rate-limiting"))
    );
    assert_eq!(limit["used_by"], json!(["service orders", "route orders"]));
    assert_eq!(limit["config"]["limits"][0]["by"], "consumer");
    assert_eq!(running.get("/plugins/none").status, 404);
}

#[test]
fn the_uses_shown_of_a_plugin_are_bounded() {
    let mut tree = everything();
    let route = |i: usize| json!({ "name": format!("r{i}"), "service": "six", "paths": [format!("/r/{i}")], "chain": ["key-auth"] });
    tree["routes"].as_array_mut().expect("routes").extend((0..150).map(route));
    let plugin = serve(FakeNode::serving(&tree)).get("/plugins/key-auth").json();
    assert_eq!(plugin["used_by"].as_array().map(Vec::len), Some(100));
    assert_eq!(plugin["used_by_count"], 151);
}

#[test]
fn no_answer_shows_a_secret() {
    let mut tree = everything();
    tree["plugins"].as_array_mut().expect("plugins").push(json!({
        "name": "forward",
        "config": { "clientSecret": "canary-1", "hooks": [{ "url": "https://u:canary-2@example.com" }] },
    }));
    tree["routes"][1]["headers"] = json!({ "authorization": ["canary-3"] });
    tree["routes"][1]["query"] = json!({ "api_key": ["canary-4"] });
    tree["chain"] = json!([{ "plugin": "access-log", "when": { "headers": { "cookie": ["canary-5"] } } }]);
    let running = serve(FakeNode::serving(&tree));
    let mut seen_hidden = 0;
    for path in about::PATHS {
        for name in ["orders", "billing", "demo", "main", "forward", "access-log"] {
            let answer = running.get(&path.replace("{name}", name));
            assert!(!answer.body.contains("canary"), "{path}: {}", answer.body);
            seen_hidden += answer.body.matches("[hidden]").count();
        }
    }
    assert!(seen_hidden > 0, "the canaries are in what was shown");
    assert!(running.get("/config").body.contains("\"authorization\":[\"[hidden]\"]"));
}

#[test]
fn every_path_that_is_listed_is_answered() {
    let running = serve(FakeNode::serving(&everything()));
    let about = running.get("/").json();
    assert_eq!((&about["node"], &about["phase"]), (&json!("node-1"), &json!("serving")));
    for path in about["paths"].as_array().expect("paths") {
        let path = path.as_str().expect("a path");
        let name = path.split('/').nth(1).map(|kind| match kind {
            "upstreams" => "billing",
            "consumers" => "demo",
            "certificates" => "main",
            "plugins" => "key-auth",
            _ => "orders",
        });
        let path = if path == "/explain" { "/explain?url=/orders" } else { path };
        let answer = running.get(&path.replace("{name}", name.expect("a kind")));
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.field("content-type"), Some("application/json"), "{path}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{path}");
    }
    let status = running.get("/status").json();
    assert_eq!((&status["uptime"], &status["started_at"]), (&json!("90s"), &json!("1970-01-01T00:00:00.000Z")));
    assert_eq!(status["configuration"]["last_error"]["at"], "1970-01-01T00:01:30.000Z");
    let counts = json!({ "routes": 2, "services": 3, "consumers": 1, "credentials": 2, "plugins": 3 });
    assert_eq!(status["counts"], counts);
}

#[test]
fn a_long_list_comes_in_pages() {
    let consumers: Vec<Value> = (0..250).map(|i| json!({ "name": format!("c{i:03}") })).collect();
    let running = serve(FakeNode::serving(&json!({ "consumers": consumers })));
    let walk = |first: &str| {
        let (mut names, mut sizes, mut next) = (Vec::new(), Vec::new(), Some(first.to_owned()));
        while let Some(path) = next {
            let page = running.get(&path).json();
            let rows = page["data"].as_array().expect("rows");
            sizes.push(rows.len());
            names.extend(rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()));
            next = page["next"].as_str().map(str::to_owned);
        }
        (names, sizes)
    };
    let all: Vec<String> = (0..250).map(|i| format!("c{i:03}")).collect();
    assert_eq!(walk("/consumers"), (all.clone(), vec![100, 100, 50]));
    assert_eq!(walk("/consumers?size=125"), (all.clone(), vec![125, 125]));
    assert_eq!(walk("/consumers?size=1000"), (all.clone(), vec![250]));
    assert_eq!(walk("/consumers?after=c2").0, all[200..], "a cursor need not be a row that is still there");
    assert_eq!(walk("/consumers?after=zzz").0, [] as [String; 0]);
    for query in ["size=0", "size=1001", "size=many", "size=-1", "tags=shop"] {
        let answer = running.get(&format!("/consumers?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.message().contains("size"), "{query}: {answer:?}");
    }
}

#[test]
fn pages_of_hosts_keep_their_stars() {
    let hosts = ["*.a.test", "*.b.test", "c.test"];
    let snis: Vec<Value> = hosts.iter().map(|host| json!({ "host": host, "certificate": "main" })).collect();
    let tree = json!({ "certificates": everything()["certificates"], "snis": snis });
    let running = serve(FakeNode::serving(&tree));
    let first = running.get("/snis?size=2").json();
    let rest = running.get(first["next"].as_str().expect("another page")).json();
    assert_eq!((&rest["data"][0]["host"], rest["data"].as_array().map(Vec::len)), (&json!("c.test"), Some(1)));
}

#[test]
fn writes_are_refused_and_told_where_to_write() {
    let running = serve(FakeNode::serving(&everything()));
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/services", "/routes/orders", "/config", "/consumers/demo/keys"] {
            let answer = running.send(method, path, &[("Host", "localhost"), ("Content-Length", "0")]);
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.field("allow"), Some("GET, HEAD"));
            assert!(answer.message().contains("configured by the file gateway.toml"), "{}", answer.message());
        }
    }
    let head = running.send("HEAD", "/services", &[("Host", "localhost")]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn web_pages_are_kept_out() {
    let running = serve(FakeNode::serving(&everything()));
    let own = format!("http://localhost:{}", running.address.port());
    let host = format!("localhost:{}", running.address.port());
    assert_eq!(running.send("GET", "/services", &[("Host", &host), ("Origin", &own)]).status, 200);
    for fields in [
        &[("Host", "evil.test")][..],
        &[],
        &[("Host", &host), ("Origin", "http://evil.test")],
        &[("Host", &host), ("Origin", "null")],
    ] {
        for path in ["/", "/config", "/nothing"] {
            let answer = running.send("GET", path, fields);
            assert_eq!(answer.status, 403, "{fields:?}");
            assert!(!answer.message().is_empty());
        }
        assert_eq!(running.send("DELETE", "/routes/orders", fields).status, 403, "{fields:?}");
    }
}
