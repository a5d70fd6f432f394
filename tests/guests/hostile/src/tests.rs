use serde_json::json;
use tollgate_plugin_sdk::testing::{Gateway, TestRequest};

use super::*;

#[test]
fn only_requests_that_choose_an_attack_attack() {
    let gateway = Gateway::new();
    let plugin = gateway.configure::<Hostile>(json!({ "on_header": true, "bytes": 5 })).expect("valid settings");
    assert!(gateway.send(&plugin, TestRequest::get("/")).upstream.is_some());
    assert!(gateway.send(&plugin, TestRequest::get("/").with_header("x-attack", "no-such")).upstream.is_some());
    let answered = gateway.send(&plugin, TestRequest::get("/").with_header("x-attack", "answer"));
    assert_eq!(answered.response.body(), b"xxxxx");
}

#[test]
#[should_panic(expected = "trapped as told")]
fn a_hook_attacks_as_its_setting_says() {
    let gateway = Gateway::new();
    let plugin = gateway.configure::<Hostile>(json!({ "response": "trap" })).expect("valid settings");
    gateway.send(&plugin, TestRequest::get("/"));
}

#[test]
#[should_panic(expected = "was not handed out")]
fn a_value_of_an_earlier_request_is_no_value() {
    let gateway = Gateway::new();
    let plugin = gateway.configure::<Hostile>(json!({ "request": "stale" })).expect("valid settings");
    gateway.send(&plugin, TestRequest::get("/"));
    gateway.send(&plugin, TestRequest::get("/"));
}
