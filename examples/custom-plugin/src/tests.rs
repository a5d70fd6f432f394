use serde_json::json;
use tollgate_plugin_sdk::testing::{Configured, Gateway, TestRequest, TestResponse};

use super::*;

fn configure(gateway: &Gateway, settings: serde_json::Value) -> Configured<Redact> {
    gateway.configure(settings).expect("valid settings")
}

fn upstream(content_type: &str, body: &str) -> TestResponse {
    TestResponse::new(200).with_header("content-type", content_type).with_body(body)
}

#[test]
fn words_are_replaced_on_the_way_in() {
    let gateway = Gateway::new();
    let plugin = configure(&gateway, json!({ "words": ["secret", "s3"] }));
    let request =
        TestRequest::post("/", "{\"a\":\"My SECRET s3\"}").with_header("content-type", "application/json; a=b");
    assert_eq!(gateway.send(&plugin, request).upstream.expect("passed").body(), b"{\"a\":\"My *** ***\"}");
}

#[test]
fn words_are_replaced_on_the_way_out_even_across_pieces() {
    let gateway = Gateway::new();
    let plugin = configure(&gateway, json!({ "words": ["secret"], "mask": "" }));
    gateway.set_upstream(upstream("text/plain", "").with_body_pieces(["a sec", "ret b"]));
    assert_eq!(gateway.send(&plugin, TestRequest::get("/")).response.body(), b"a  b");
}

#[test]
fn other_media_types_and_directions_stay_as_they_are() {
    let gateway = Gateway::new();
    let plugin = configure(&gateway, json!({ "words": ["secret"], "directions": ["response"] }));
    gateway.set_upstream(upstream("image/png", "secret"));
    let request = TestRequest::post("/", "secret").with_header("content-type", "text/plain");
    let exchange = gateway.send(&plugin, request);
    assert_eq!(exchange.response.body(), b"secret");
    assert_eq!(exchange.upstream.expect("passed").body(), b"secret");
}

#[test]
fn the_upstream_is_not_offered_compression() {
    let gateway = Gateway::new();
    let plugin = configure(&gateway, json!({ "words": ["secret"] }));
    let exchange = gateway.send(&plugin, TestRequest::get("/").with_header("accept-encoding", "gzip"));
    assert_eq!(exchange.upstream.expect("passed").header("accept-encoding"), None);
}

#[test]
fn a_request_over_the_limit_is_413_and_a_response_is_passed_on() {
    let gateway = Gateway::new();
    let plugin = configure(&gateway, json!({ "words": ["secret"], "max_body": "8B" }));
    let request = TestRequest::post("/", "a secret b").with_header("content-type", "text/plain");
    assert_eq!(gateway.send(&plugin, request).response.status, 413);
    gateway.set_upstream(upstream("text/plain", "a secret b"));
    assert_eq!(gateway.send(&plugin, TestRequest::get("/")).response.body(), b"a secret b");
}

#[test]
fn wrong_settings_are_reported() {
    let problems = Gateway::new().configure::<Redact>(json!({ "words": [], "max_body": "0B" })).err().expect("invalid");
    assert_eq!(problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["words", "max_body"]);
}
