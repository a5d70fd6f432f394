use serde_json::{Value, json};

use super::*;

#[test]
fn an_entity_is_made_shown_replaced_changed_and_deleted() {
    let bench = Bench::start();
    let made = bench.post("/services", json!({ "name": "orders", "url": "http://a:1", "tags": ["shop"] }));
    assert_eq!((made.status, made.field("location")), (201, Some("/services/orders")), "{}", made.body);
    let revision = made.field("x-tollgate-revision").expect("a revision").to_owned();
    let body = made.json();
    assert_eq!((body["revision"].to_string(), &body["url"]), (revision, &json!("http://a:1")));
    let id = body["id"].as_str().expect("an id").to_owned();

    let shown = bench.get("/services/orders");
    assert_eq!((shown.status, shown.field("etag")), (200, made.field("etag")));
    assert_eq!(shown.json(), bench.get(&format!("/services/{id}")).json());
    assert_eq!(shown.json(), body);

    let replaced = bench.put("/services/orders", json!({ "url": "http://b:1" }));
    assert_eq!(replaced.status, 200);
    assert_eq!((&replaced.json()["url"], &replaced.json()["tags"]), (&json!("http://b:1"), &json!([])));
    assert_eq!((&replaced.json()["id"], &replaced.json()["created_at"]), (&body["id"], &body["created_at"]));
    assert_eq!(bench.put("/services/other", json!({ "url": "http://c:1" })).status, 201);

    let patch = json!({ "timeouts": { "connect": "1s" }, "url": null, "upstream": "none" });
    assert_eq!(paths(&bench.patch("/services/orders", patch)), ["services.orders.upstream"]);
    let changed = bench.patch("/services/orders", json!({ "timeouts": { "connect": "1s" } }));
    assert_eq!((changed.status, &changed.json()["timeouts"]["connect"]), (200, &json!("1s")));
    assert_eq!(changed.json()["url"], "http://b:1");

    let gone = bench.delete("/services/orders");
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert!(gone.field("x-tollgate-revision").is_some());
    assert_eq!(bench.get("/services/orders").status, 404);
    assert_eq!(bench.get(&format!("/services/{id}")).status, 404);
    assert_eq!(bench.patch("/services/orders", json!({})).status, 404);
    assert_eq!(bench.delete("/services/orders").status, 204);
}

#[test]
fn deleted_is_deleted_at_once_each_time() {
    let bench = Bench::start().with_orders();
    for n in 0..50 {
        let path = format!("/routes/r{n}");
        bench.puts(&path, json!({ "service": "orders", "paths": [format!("/r{n}")] }));
        assert_eq!(bench.get(&path).status, 200);
        assert_eq!(bench.delete(&path).status, 204);
        assert_eq!(bench.get(&path).status, 404, "{n}");
    }
}

#[test]
fn what_is_read_can_be_written_back() {
    let bench = Bench::start().with_orders();
    bench.makes("/plugins", json!({ "name": "limits", "module": "rate-limiting", "config": { "limit": 1 } }));
    bench.makes(
        "/upstreams",
        json!({ "name": "pair", "targets": [{ "address": "a:1" }], "health_check": { "path": "/" } }),
    );
    bench.makes("/consumers", json!({ "name": "demo", "groups": ["gold"] }));
    bench.makes("/certificates", json!({ "name": "main", "certificate_file": "a.pem", "key_file": "a.key" }));
    bench.makes("/snis", json!({ "host": "*.Example.com", "certificate": "main" }));
    for path in [
        "services/orders",
        "routes/orders",
        "plugins/limits",
        "upstreams/pair",
        "consumers/demo",
        "certificates/main",
        "snis/*.example.com",
    ] {
        let path = format!("/{path}");
        let read = bench.get(&path);
        assert_eq!(read.status, 200, "{path}: {}", read.body);
        let written = bench.put(&path, read.json());
        assert_eq!(written.status, 200, "{path}: {}", written.body);
        let (mut before, mut after) = (read.json(), bench.get(&path).json());
        for moved in ["revision", "updated_at"] {
            before[moved] = Value::Null;
            after[moved] = Value::Null;
        }
        assert_eq!(before, after);
    }
}

#[test]
fn names_are_made_up_where_none_is_stated() {
    let bench = Bench::start();
    let made = bench.post("/services", json!({ "url": "http://a:1" }));
    let name = made.json()["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("service-"), "{name}");
    assert_eq!(made.field("location"), Some(format!("/services/{name}").as_str()));
    assert_eq!(bench.get(&format!("/services/{name}")).status, 200);
    assert_eq!(bench.post("/snis", json!({ "certificate": "a" })).status, 400);
}

#[test]
fn all_problems_are_told_and_nothing_is_changed() {
    let bench = Bench::start().with_orders();
    let answer = bench.put("/routes/a", json!({ "service": "nowhere", "pahts": ["/"], "paths": ["a"] }));
    assert_eq!(answer.status, 400);
    let mut found = paths(&answer);
    found.sort();
    assert_eq!(found, ["routes.a.pahts", "routes.a.paths[0]", "routes.a.service"]);
    assert_eq!(bench.get("/routes/a").status, 404);
    assert_eq!(paths(&bench.delete("/services/orders")), ["services.orders"]);
    assert_eq!(paths(&bench.put("/routes/B", json!({}))), ["routes.name"]);
    assert_eq!(bench.get("/services/orders").status, 200);
    for (written, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("text/plain", "{}", 415),
        ("application/x-www-form-urlencoded", "a=1&a=2", 400),
    ] {
        assert_eq!(bench.send("POST", "/services", &[], Some((written, body))).status, status, "{body}");
    }
    let large = [("Content-Length", "33554433"), ("Content-Type", "application/json")];
    assert_eq!(bench.send("POST", "/services", &large, None).status, 413);
}

#[test]
fn renaming_is_refused_where_others_would_be_left_behind() {
    let bench = Bench::start().with_orders();
    let refused = bench.patch("/services/orders", json!({ "name": "bills" }));
    assert_eq!(paths(&refused), ["services.orders", "services.orders.name"]);
    let renamed = bench.put("/routes/orders", json!({ "name": "bills", "service": "orders", "paths": ["/bills"] }));
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    assert_eq!((bench.get("/routes/orders").status, bench.get("/routes/bills").status), (404, 200));
    bench.puts("/routes/taken", json!({ "service": "orders", "paths": ["/taken"] }));
    assert_eq!(bench.patch("/routes/bills", json!({ "name": "taken" })).status, 409);
    assert_eq!(bench.post("/routes", json!({ "name": "taken", "service": "orders", "paths": ["/x"] })).status, 409);
    assert_eq!(bench.put("/routes/none", json!({ "name": "some", "service": "orders", "paths": ["/x"] })).status, 400);
}

#[test]
fn writes_can_depend_on_what_was_seen() {
    let bench = Bench::start().with_orders();
    let seen = bench.get("/services/orders").field("etag").expect("an ETag").to_owned();
    let body = || Some(json!({ "url": "http://b:1" }));
    assert_eq!(bench.call("PUT", "/services/orders", &[("If-None-Match", "*")], body()).status, 412);
    assert_eq!(bench.call("PUT", "/services/new", &[("If-Match", "*")], body()).status, 412);
    assert_eq!(bench.call("PUT", "/services/orders", &[("If-Match", &seen)], body()).status, 200);
    assert_eq!(bench.call("PATCH", "/services/orders", &[("If-Match", &seen)], body()).status, 412);
    assert_eq!(bench.call("DELETE", "/services/orders", &[("If-Match", &seen)], None).status, 412);
    let now = bench.get("/services/orders").field("etag").expect("an ETag").to_owned();
    let unchanged = bench.call("GET", "/services/orders", &[("If-None-Match", &now)], None);
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    assert_eq!(bench.call("GET", "/services/orders", &[("If-None-Match", &seen)], None).status, 200);
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let bench = Bench::start();
    let answer = bench.post("/services?dry_run=true", json!({ "name": "a", "url": "http://a:1" }));
    assert_eq!((answer.status, &answer.json()["dry_run"]), (200, &json!(true)), "{}", answer.body);
    assert_eq!(bench.get("/services/a").status, 404);
    assert_eq!(bench.post("/services?dry_run=true", json!({ "name": "a" })).status, 400);
    bench.puts("/services/a", json!({ "url": "http://a:1" }));
    assert_eq!(bench.delete("/services/a?dry_run=true").status, 200);
    assert_eq!(bench.get("/services/a").status, 200);
    assert_eq!(bench.delete("/services/a?dry=true").status, 400);
}

#[test]
fn lists_come_in_pages_and_by_tags() {
    let bench = Bench::start();
    for n in 0..7 {
        let tags = if n % 2 == 0 { vec!["even", "all"] } else { vec!["all"] };
        bench.puts(&format!("/consumers/c{n}"), json!({ "tags": tags }));
    }
    let first = bench.get("/consumers?size=4").json();
    assert_eq!(names(&first), ["c0", "c1", "c2", "c3"]);
    let rest = bench.get(first["next"].as_str().expect("another page")).json();
    assert_eq!((names(&rest), &rest["next"]), (vec!["c4", "c5", "c6"], &Value::Null));
    let even = bench.get("/consumers?tags=even,all&size=3").json();
    assert_eq!(names(&even), ["c0", "c2", "c4"]);
    assert_eq!(names(&bench.get(even["next"].as_str().expect("another page")).json()), ["c6"]);
    for query in ["size=0", "size=1001", "sise=1", "after=%00", "offset=c1"] {
        assert_eq!(bench.get(&format!("/consumers?{query}")).status, 400, "{query}");
    }
}

#[test]
fn secrets_are_hidden_and_come_back_unharmed() {
    let bench = Bench::start();
    bench.makes("/plugins", json!({ "name": "forward", "config": { "password": "canary", "timeout": 1 } }));
    let shown = bench.get("/plugins/forward");
    assert_eq!(shown.json()["config"], json!({ "password": "[hidden]", "timeout": 1 }));
    let mut body = shown.json();
    body["config"]["timeout"] = 2.into();
    assert_eq!(bench.put("/plugins/forward", body).status, 200);
    assert_eq!(bench.patch("/plugins/forward", json!({ "config": { "timeout": 3 } })).status, 200);
    let known = bench.feed.known();
    let config = &known.set.plugins["forward"].config;
    assert_eq!((&config["password"], &config["timeout"]), (&json!("canary"), &json!(3)));
    let lost = bench.put("/plugins/other", json!({ "config": { "password": "[hidden]" } }));
    assert_eq!(paths(&lost), ["plugins.other.config.password"]);
    for path in ["/plugins", "/config", "/revisions", "/revisions/2", "/cache/plugins/forward"] {
        let answer = bench.get(path);
        assert_eq!((answer.status, answer.body.contains("canary")), (200, false), "{path}: {}", answer.body);
    }
}

#[test]
fn the_quick_start_of_kong_works_as_it_is_typed() {
    let bench = Bench::start();
    let steps = [
        ("/services", "name=example_service&url=http%3A%2F%2Fhttpbin.konghq.com"),
        ("/services/example_service/routes", "paths[]=%2Fmock&name=example_route"),
        ("/chain/plugins", "name=rate-limiting&config.minute=5&config.policy=local"),
        ("/services/example_service/plugins", "name=key-auth&config.key_names[]=apikey&grants.credentials=true"),
        ("/consumers", "name=luka"),
        ("/consumers/luka/keys", "key=top-secret-key"),
    ];
    for (path, body) in steps {
        let answer = bench.form("POST", path, body);
        assert_eq!(answer.status, 201, "{path}: {}", answer.body);
    }
    assert_eq!(bench.get("/routes/example_route").json()["service"], "example_service");
    assert_eq!(bench.get("/services/example_service").json()["chain"], json!(["key-auth"]));
    assert_eq!(bench.get("/chain").json()["chain"], json!(["rate-limiting"]));
    assert_eq!(bench.get("/plugins/rate-limiting").json()["config"], json!({ "minute": 5, "policy": "local" }));
    assert_eq!(bench.form("PATCH", "/services/example_service", "retries.attempts=6").json()["retries"]["attempts"], 6);
}

#[test]
fn targets_are_parts_of_their_upstream() {
    let bench = Bench::start();
    bench.makes("/upstreams", json!({ "name": "pair", "targets": [{ "address": "a:1" }] }));
    let made = bench.form("POST", "/upstreams/pair/targets", "address=b%3A1&weight=10");
    assert_eq!((made.status, made.field("location")), (201, Some("/upstreams/pair/targets/b:1")), "{}", made.body);
    assert_eq!(bench.post("/upstreams/pair/targets", json!({ "address": "B:1", "weight": 20 })).status, 200);
    let listed = bench.get("/upstreams/pair/targets").json();
    assert_eq!(listed["data"], json!([{ "address": "a:1", "weight": 100 }, { "address": "b:1", "weight": 20 }]));
    assert_eq!(names(&bench.get("/upstreams").json()), ["pair"]);
    assert_eq!(bench.post("/upstreams/pair/targets", json!({ "address": "c" })).status, 400);
    assert_eq!(bench.post("/upstreams/none/targets", json!({ "address": "c:1" })).status, 404);
    assert_eq!(bench.delete("/upstreams/pair/targets/a:1").status, 204);
    assert_eq!(bench.delete("/upstreams/pair/targets/a:1").status, 204);
    assert_eq!(bench.delete("/upstreams/pair/targets/b:1").status, 400, "the last one stays");
}

#[test]
fn the_global_chain_is_one_of_its_own() {
    let bench = Bench::start();
    assert_eq!(bench.get("/chain").json(), json!({ "chain": [] }));
    assert_eq!(bench.put("/chain", json!({ "chain": ["none"] })).status, 400);
    assert_eq!(bench.put("/chain", json!({})).status, 400);
    bench.makes("/plugins", json!({ "name": "log", "module": "file-log" }));
    let put = bench.puts("/chain", json!({ "chain": ["log"] }));
    assert_eq!(put.json()["chain"], json!(["log"]));
    let etag = bench.get("/chain").field("etag").expect("an ETag").to_owned();
    assert_eq!(bench.call("PUT", "/chain", &[("If-Match", "\"x\"")], Some(json!({ "chain": [] }))).status, 412);
    assert_eq!(bench.call("PUT", "/chain", &[("If-Match", &etag)], Some(json!({ "chain": [] }))).status, 200);
}

#[test]
fn links_begin_with_the_public_url() {
    let bench = Bench::with(Some("https://admin.example.com/gateway/"));
    let made = bench.post("/services", json!({ "name": "a", "url": "http://a:1" }));
    assert_eq!(made.field("location"), Some("https://admin.example.com/gateway/services/a"));
    bench.makes("/services", json!({ "name": "b", "url": "http://b:1" }));
    let next = bench.get("/services?size=1").json()["next"].clone();
    assert_eq!(next, "https://admin.example.com/gateway/services?size=1&after=a");
}
