use serde_json::{Value, json};

use crate::admin::tests::{everything, serve};
use crate::node::DegradedPlace;
use crate::testing::FakeNode;

/// Of a node that serves everything there is, and two routes more.
fn node() -> FakeNode {
    let mut tree = everything();
    let routes = tree["routes"].as_array_mut().expect("routes");
    routes.push(json!({ "name": "v2", "service": "billing", "paths": ["/v2"], "strip_path": true, "chain": [
        { "plugin": "rate-limit", "when": { "addresses": ["10.0.0.0/8"] } },
        { "plugin": "key-auth", "when": { "methods": ["POST"] } },
    ] }));
    routes.push(json!({ "name": "secret", "service": "six", "paths": ["/v2"], "headers": { "x-token": ["canary"] } }));
    FakeNode::serving(&tree)
}

fn explain(node: FakeNode, query: &str) -> Value {
    let answer = serve(node).get(&format!("/explain?{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.body.contains("canary"), "{}", answer.body);
    answer.json()
}

#[test]
fn the_route_is_told_with_all_that_follows_from_it() {
    let told = explain(node(), "method=GET&url=https://any.test/v2/./a%3Fx=1&consumer=demo");
    assert_eq!(told["request"], json!({ "method": "GET", "host": "any.test", "path": "/v2/a", "query": "x=1" }));
    assert_eq!((&told["route"]["name"], &told["route"]["path"]), (&json!("v2"), &json!("/v2")));
    assert_eq!(told["others"][0]["name"], "billing");
    assert_eq!(told["others"][0]["why"], "`v2` names the path more exactly");
    assert_eq!(told["missed"][0]["name"], "secret");
    assert_eq!(told["missed"][0]["why"], "the header `x-token` is not as it asks for");
    assert_eq!(told["service"]["upstream"], "billing");
    assert_eq!(told["service"]["sends"], "/v2/a?x=1", "the service's own prefix in place of the one that was stripped");
    assert_eq!(told["service"]["targets"].as_array().map(Vec::len), Some(2));
    let chain: Vec<_> = told["chain"]
        .as_array()
        .expect("a chain")
        .iter()
        .map(|link| (&link["plugin"], &link["level"], &link["runs"]))
        .collect();
    assert_eq!(
        json!(chain),
        json!([
            ["access-log", "global", true],
            ["rate-limit", "route", null],
            ["key-auth", "route", false],
            ["access-log", "consumer", true],
        ])
    );
}

#[test]
fn an_address_decides_what_depends_on_it() {
    for (address, runs) in [("10.1.2.3", true), ("192.0.2.1", false)] {
        let told = explain(node(), &format!("url=/v2&address={address}"));
        assert_eq!(told["chain"][1]["runs"], runs, "{address}");
    }
}

#[test]
fn headers_count_and_host_is_one_of_them() {
    let told = explain(node(), "url=/v2&header=X-Token:+canary");
    assert_eq!((&told["route"]["name"], &told["service"]["url"]), (&json!("secret"), &json!("https://[::1]")));
    assert_eq!(told["others"][0]["why"], "`secret` asks for more (methods, headers, query)");
    let told = explain(node(), "url=https://a.test/exact&header=Host:+Shop.Example.com:8443");
    assert_eq!(told["request"]["host"], "shop.example.com");
}

#[test]
fn where_no_route_matches_it_is_told_what_each_lacks() {
    let tree = json!({
        "services": [{ "name": "s", "url": "http://127.0.0.1" }],
        "routes": [{ "name": "a", "service": "s", "paths": ["/a"], "methods": ["POST"], "hosts": ["a.test"] }],
    });
    let told = explain(FakeNode::serving(&tree), "url=http://b.test/a");
    assert_eq!((&told["route"], &told["chain"]), (&Value::Null, &json!([])));
    assert_eq!(told["missed"][0]["why"], "the host is none of its hosts, the method is none of its methods");
}

#[test]
fn what_this_node_can_t_serve_is_told() {
    let mut node = node();
    node.status.degraded_places = vec![DegradedPlace { place: "route v2".to_owned(), reason: "no module".to_owned() }];
    assert_eq!(explain(node, "url=/v2")["degraded"], json!(["route v2: no module"]));
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let running = serve(node());
    for query in [
        "",
        "method=GET",
        "url=",
        "url=/a&method=G%20T",
        "url=/a&header=x",
        "url=/a&address=here",
        "url=/a&urls=/b",
        "url=/a/%25252e",
        "url=http://a_b:99999/",
        "url=/v2&consumer=nobody",
    ] {
        let answer = running.get(&format!("/explain?{query}"));
        assert_eq!((answer.status, answer.message().is_empty()), (400, false), "{query}");
    }
}
