use super::*;

use serde_json::json;
use tollgate_plugin_sdk::testing::{Configured, Gateway, TestRequest};

fn gateway() -> Gateway {
    let gateway = Gateway::new();
    gateway.add_consumer("demo", &["demo-key"]);
    gateway.add_consumer("guest", &[]);
    gateway
}

fn configure(gateway: &Gateway, settings: serde_json::Value) -> Configured<KeyAuth> {
    gateway.configure(settings).expect("valid settings")
}

fn problems(settings: serde_json::Value) -> Vec<String> {
    let refused = gateway().configure::<KeyAuth>(settings).err().expect("invalid settings");
    refused.iter().map(|problem| problem.path.clone()).collect()
}

#[test]
fn a_valid_key_names_the_consumer_and_is_hidden() {
    let gateway = gateway();
    let exchange =
        gateway.send(&configure(&gateway, json!({})), TestRequest::get("/").with_header("ApiKey", "demo-key"));
    assert_eq!(exchange.consumer.as_deref(), Some("demo"));
    assert_eq!(exchange.upstream.expect("passed").header("apikey"), None);
    assert_eq!(exchange.response.status, 200);
}

#[test]
fn the_key_stays_when_it_is_not_to_be_hidden() {
    let gateway = gateway();
    let plugin = configure(&gateway, json!({ "hide_credentials": false, "query": ["key"] }));
    let exchange = gateway.send(&plugin, TestRequest::get("/?key=demo-key&a=1"));
    assert_eq!(exchange.upstream.expect("passed").query.as_deref(), Some("key=demo-key&a=1"));
}

#[test]
fn a_missing_key_is_401_with_a_challenge() {
    let gateway = gateway();
    let exchange =
        gateway.send(&configure(&gateway, json!({ "realm": "orders" })), TestRequest::get("/?apikey=demo-key"));
    assert!(exchange.upstream.is_none());
    assert_eq!(exchange.response.status, 401);
    assert_eq!(exchange.response.header("www-authenticate"), Some("Key realm=\"orders\""));
    assert_eq!(exchange.response.message().as_deref(), Some("No API key found in request"));
}

#[test]
fn an_unknown_key_is_401_even_where_anonymous_requests_pass() {
    let gateway = gateway();
    for settings in [json!({}), json!({ "anonymous": "guest" })] {
        let plugin = configure(&gateway, settings);
        for key in ["wrong", "", "demo-key "] {
            let exchange = gateway.send(&plugin, TestRequest::get("/").with_header("apikey", key));
            assert!(exchange.upstream.is_none());
            assert_eq!((exchange.response.status, exchange.consumer), (401, None), "{key:?}");
            assert_eq!(exchange.response.message().as_deref(), Some("Unauthorized"));
        }
    }
}

#[test]
fn two_keys_are_refused_wherever_they_stand() {
    let gateway = gateway();
    let plugin = configure(&gateway, json!({ "headers": ["apikey", "x-key"], "query": ["key"] }));
    let requests = [
        TestRequest::get("/").with_header("apikey", "demo-key").with_header("apikey", "demo-key"),
        TestRequest::get("/").with_header("apikey", "demo-key").with_header("x-key", "demo-key"),
        TestRequest::get("/?key=demo-key").with_header("apikey", "demo-key"),
        TestRequest::get("/?key=demo-key&key=other"),
        TestRequest::get("/?key=demo-key&%6Bey=other"),
    ];
    for request in requests {
        let exchange = gateway.send(&plugin, request.clone());
        assert_eq!(exchange.response.status, 401, "{request:?}");
        assert_eq!(exchange.response.message().as_deref(), Some("Duplicate API key found"));
    }
}

#[test]
fn a_query_parameter_is_read_decoded_and_hidden() {
    let gateway = Gateway::new();
    gateway.add_consumer("demo", &["a key+1"]);
    let plugin = configure(&gateway, json!({ "query": ["api_key"] }));
    let exchange = gateway.send(&plugin, TestRequest::get("/list?page=2&api_key=a%20key%2B1&x"));
    assert_eq!(exchange.consumer.as_deref(), Some("demo"));
    assert_eq!(exchange.upstream.expect("passed").query.as_deref(), Some("page=2&x"));
}

#[test]
fn a_request_without_a_key_is_the_anonymous_consumers() {
    let gateway = gateway();
    let exchange = gateway.send(&configure(&gateway, json!({ "anonymous": "guest" })), TestRequest::get("/"));
    assert_eq!(exchange.consumer.as_deref(), Some("guest"));
    let exchange = gateway.send(&configure(&gateway, json!({ "anonymous": "nobody" })), TestRequest::get("/"));
    assert_eq!(exchange.response.status, 500);
}

#[test]
fn who_is_authenticated_already_passes_without_a_key() {
    let gateway = gateway();
    let exchange = gateway.send(&configure(&gateway, json!({})), TestRequest::get("/").authenticated_as("guest"));
    assert_eq!(exchange.consumer.as_deref(), Some("guest"));
    assert!(exchange.upstream.is_some());
}

#[test]
fn an_authenticated_requests_key_is_hidden_too() {
    let gateway = gateway();
    let request = TestRequest::get("/").with_header("apikey", "demo-key").authenticated_as("guest");
    let exchange = gateway.send(&configure(&gateway, json!({})), request);
    assert_eq!(exchange.upstream.expect("passed").header("apikey"), None);
}

#[test]
fn wrong_settings_are_all_reported() {
    let settings =
        json!({ "headers": ["apikey", "ApiKey", "not valid"], "query": [""], "anonymous": "", "realm": "a\"b" });
    assert_eq!(problems(settings), ["headers[1]", "headers[2]", "query[0]", "anonymous", "realm"]);
    assert_eq!(problems(json!({ "headers": [] })), ["headers"]);
    assert_eq!(problems(json!({ "headers": "apikey" })), ["headers"]);
}
