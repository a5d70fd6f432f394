use tollgate_plugin_sdk::testing::{Gateway, TestRequest, TestResponse};

use super::*;

fn answered(request: TestRequest) -> Json {
    let gateway = Gateway::new();
    let everything = gateway.configure::<Everything>(json!({})).expect("valid settings");
    let exchange = gateway.send(&everything, request);
    assert_eq!(exchange.response.status, 200);
    serde_json::from_slice(&exchange.response.body()).expect("the plugin answers with JSON")
}

/// The same answers as of the real gateway, in `tests/e2e/abi.rs`.
#[test]
fn the_fake_gateway_tells_what_the_real_one_does() {
    for (path, told) in [
        ("/kv", include_str!("../told/kv.json")),
        ("/kv/bounds", include_str!("../told/kv-bounds.json")),
        ("/kv/lifetimes", include_str!("../told/kv-lifetimes.json")),
        ("/limiter", include_str!("../told/limiter.json")),
        ("/early", include_str!("../told/early.json")),
    ] {
        let told: Json = serde_json::from_str(told).expect("the file is JSON");
        assert_eq!(answered(TestRequest::get(path)), told, "{path}");
    }
}

#[test]
fn fields_are_told_in_order() {
    let request = TestRequest::get("/headers").with_header("x-two", "first").with_header("X-Two", "second");
    assert_eq!(answered(request), json!([["x-two", "first"], ["x-two", "second"]]));
    let gateway = Gateway::new();
    let everything = gateway.configure::<Everything>(json!({})).expect("valid settings");
    gateway.set_upstream(TestResponse::new(200).with_header("x-two", "first").with_header("x-two", "second"));
    let exchange = gateway.send(&everything, TestRequest::get("/"));
    assert_eq!(exchange.response.header("x-fields"), Some(r#"[["x-two","first"],["x-two","second"]]"#));
}

#[test]
fn randomness_has_the_length_that_was_asked_for_and_a_sleep_takes_its_time() {
    let drawn = answered(TestRequest::get("/random"));
    assert_eq!(drawn["first"].as_array().map(Vec::len), Some(16));
    assert_ne!(drawn["first"], drawn["second"]);
    let timed = answered(TestRequest::get("/clock"));
    assert_eq!(timed["slept"], timed["asked"]);
}
