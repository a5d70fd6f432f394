use std::time::Duration;

use serde_json::json;
use tollgate_plugin_sdk::testing::{Configured, Exchange, Gateway, TestRequest};

use super::*;

fn configure(gateway: &Gateway, settings: serde_json::Value) -> Configured<RateLimiting> {
    gateway.configure(settings).expect("valid settings")
}

/// Statuses of so many requests.
fn statuses(gateway: &Gateway, plugin: &Configured<RateLimiting>, request: &TestRequest, count: usize) -> Vec<u16> {
    (0..count).map(|_| gateway.send(plugin, request.clone()).response.status).collect()
}

fn fields<'a>(exchange: &'a Exchange, names: &[&str]) -> Vec<Option<&'a str>> {
    names.iter().map(|name| exchange.response.header(name)).collect()
}

fn problems(settings: serde_json::Value) -> Vec<String> {
    let refused = Gateway::new().configure::<RateLimiting>(settings).err().expect("invalid settings");
    refused.iter().map(|problem| problem.path.clone()).collect()
}

const LEGACY: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
const DRAFT: [&str; 2] = ["ratelimit", "ratelimit-policy"];

#[test]
fn requests_over_the_limit_are_429_until_the_window_has_passed() {
    for algorithm in ["fixed-window", "sliding-window"] {
        let gateway = Gateway::new();
        let settings = json!({ "limits": [{ "limit": 2, "window": "1m", "by": "ip", "algorithm": algorithm }] });
        let plugin = configure(&gateway, settings);
        assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 3), [200, 200, 429], "{algorithm}");
        gateway.advance(Duration::from_secs(59));
        assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 1), [429], "{algorithm}");
        gateway.advance(Duration::from_secs(1));
        assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 3), [200, 200, 429], "{algorithm}");
    }
}

#[test]
fn a_token_bucket_admits_its_burst_and_refills_evenly() {
    let gateway = Gateway::new();
    let limit = json!({ "limit": 60, "window": "1m", "by": "global", "algorithm": "token-bucket", "burst": 3 });
    let plugin = configure(&gateway, json!({ "limits": [limit] }));
    assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 4), [200, 200, 200, 429]);
    gateway.advance(Duration::from_secs(2));
    assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 3), [200, 200, 429]);
}

#[test]
fn a_throttled_client_is_told_when_to_come_again() {
    let gateway = Gateway::new();
    let settings = json!({ "limits": [{ "limit": 1, "window": "10s", "by": "ip" }], "message": "Later" });
    let plugin = configure(&gateway, settings);
    gateway.send(&plugin, TestRequest::get("/"));
    gateway.advance(Duration::from_millis(1_500));
    let exchange = gateway.send(&plugin, TestRequest::get("/"));
    assert!(exchange.upstream.is_none());
    assert_eq!(exchange.response.header("retry-after"), Some("9"), "8.5 seconds, rounded up");
    assert_eq!(exchange.response.message().as_deref(), Some("Later"));
    assert_eq!(fields(&exchange, &LEGACY), [Some("1"), Some("0"), Some("9")]);
}

#[test]
fn admitted_requests_say_how_the_client_stands() {
    let gateway = Gateway::new();
    let limits = json!([
        { "limit": 10, "window": "1m", "by": "ip", "name": "minute" },
        { "limit": 1000, "window": "1h", "by": "ip", "name": "hour" },
    ]);
    let exchange = gateway.send(&configure(&gateway, json!({ "limits": limits })), TestRequest::get("/"));
    assert_eq!(fields(&exchange, &LEGACY), [Some("10"), Some("9"), Some("60")]);
    assert_eq!(
        fields(&exchange, &DRAFT),
        [Some("\"minute\";r=9;t=60"), Some("\"minute\";q=10;w=60, \"hour\";q=1000;w=3600")]
    );
    assert_eq!(exchange.response.header("retry-after"), None);
}

#[test]
fn only_the_chosen_fields_are_sent() {
    for (style, legacy, draft) in [("legacy", true, false), ("draft", false, true), ("none", false, false)] {
        let gateway = Gateway::new();
        let settings = json!({ "limits": [{ "limit": 1, "window": "1m", "by": "ip" }], "headers": style });
        let exchange = gateway.send(&configure(&gateway, settings), TestRequest::get("/"));
        assert_eq!(fields(&exchange, &LEGACY).iter().all(Option::is_some), legacy, "{style}");
        assert_eq!(fields(&exchange, &DRAFT).iter().all(Option::is_some), draft, "{style}");
    }
}

#[test]
fn consumers_are_counted_apart_and_strangers_by_address() {
    let gateway = Gateway::new();
    gateway.add_consumer("ann", &[]);
    gateway.add_consumer("bob", &[]);
    let plugin = configure(&gateway, json!({ "limits": [{ "limit": 1, "window": "1m", "by": "consumer" }] }));
    let request = TestRequest::get("/");
    for known in ["ann", "bob"] {
        assert_eq!(statuses(&gateway, &plugin, &request.clone().authenticated_as(known), 2), [200, 429]);
    }
    for address in ["192.0.2.8", "192.0.2.9"] {
        assert_eq!(statuses(&gateway, &plugin, &request.clone().from_address(address), 2), [200, 429]);
    }
}

#[test]
fn a_header_names_who_is_counted() {
    let gateway = Gateway::new();
    let settings = json!({ "limits": [{ "limit": 1, "window": "1m", "by": { "header": "X-Tenant" } }] });
    let plugin = configure(&gateway, settings);
    for tenant in ["red", "blue"] {
        assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/").with_header("x-tenant", tenant), 2), [200, 429]);
    }
    assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 2), [200, 429], "without the field, by address");
    assert_eq!(gateway.permits_used("x-tenant-1m/ip", "192.0.2.1"), 1);
}

#[test]
fn routes_services_and_all_together_are_counted() {
    for (by, key) in [("route", "route"), ("service", "service"), ("global", "")] {
        let gateway = Gateway::new();
        let limit = json!({ "limit": 5, "window": "1m", "by": by, "name": "it" });
        let plugin = configure(&gateway, json!({ "limits": [limit] }));
        for client in ["192.0.2.8", "192.0.2.9"] {
            gateway.send(&plugin, TestRequest::get("/").from_address(client));
        }
        assert_eq!(gateway.permits_used("it", key), 2, "{by}");
    }
}

#[test]
fn a_denied_request_takes_nothing_from_the_other_limits() {
    let gateway = Gateway::new();
    let limits = json!([
        { "limit": 100, "window": "1h", "by": "ip", "name": "hour" },
        { "limit": 2, "window": "1m", "by": "ip", "name": "minute" },
    ]);
    let plugin = configure(&gateway, json!({ "limits": limits }));
    assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 4), [200, 200, 429, 429]);
    assert_eq!(gateway.permits_used("hour", "192.0.2.1"), 2);
}

#[test]
fn a_request_may_cost_more_than_one_permit() {
    let gateway = Gateway::new();
    let settings = json!({ "limits": [{ "limit": 5, "window": "1m", "by": "ip", "cost": 2 }] });
    let plugin = configure(&gateway, settings);
    assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/"), 3), [200, 200, 429]);
}

#[test]
fn a_store_that_is_away_is_no_throttling() {
    let gateway = Gateway::new();
    let plugin = configure(&gateway, json!({ "limits": [{ "limit": 5, "window": "1m", "by": "ip" }] }));
    gateway.set_limiter_available(false);
    let exchange = gateway.send(&plugin, TestRequest::get("/"));
    assert_eq!(exchange.response.status, 503);
    assert_eq!(exchange.response.header("retry-after"), None);
}

#[test]
fn a_limit_with_the_same_name_goes_on_counting_after_a_change() {
    let gateway = Gateway::new();
    let limit = |limit| json!({ "limits": [{ "limit": limit, "window": "1m", "by": "ip" }] });
    assert_eq!(statuses(&gateway, &configure(&gateway, limit(2)), &TestRequest::get("/"), 2), [200, 200]);
    assert_eq!(statuses(&gateway, &configure(&gateway, limit(3)), &TestRequest::get("/"), 2), [200, 429]);
}

#[test]
fn wrong_settings_are_all_reported() {
    let limit =
        json!({ "limit": 0, "window": "0s", "by": { "header": "no name" }, "burst": 1, "cost": 0, "name": "a b" });
    let fields = ["limit", "window", "burst", "cost", "name", "by.header"].map(|field| format!("limits[0].{field}"));
    assert_eq!(problems(json!({ "limits": [limit], "status": 503 })), [&fields[..], &["status".to_owned()]].concat());
    assert_eq!(problems(json!({ "limits": [] })), ["limits"]);
    let twice = json!({ "limit": 1, "window": "60s", "by": "ip" });
    assert_eq!(problems(json!({ "limits": [twice, { "limit": 2, "window": "1m", "by": "ip" }] })), ["limits[1].name"]);
    assert_eq!(problems(json!({ "limits": [{ "limit": 1, "window": "60", "by": "ip" }] })), ["limits[0].window"]);
    assert_eq!(problems(json!({ "limits": [{ "limit": 1, "window": "1m", "by": "planet" }] })), ["limits[0].by"]);
}

#[test]
fn addresses_of_one_ipv6_network_are_one_client() {
    let gateway = Gateway::new();
    let plugin = configure(&gateway, json!({ "limits": [{ "limit": 1, "window": "1m", "by": "ip" }] }));
    let status = |client: &str| statuses(&gateway, &plugin, &TestRequest::get("/").from_address(client), 1)[0];
    assert_eq!([status("2001:db8:0:1::1"), status("2001:db8:0:1:ffff::2"), status("2001:db8:0:2::1")], [200, 429, 200]);
    assert_eq!([status("192.0.2.1"), status("192.0.2.2"), status("192.0.2.2")], [200, 200, 429]);
}

#[test]
fn the_part_of_an_address_that_counts_can_be_set() {
    let gateway = Gateway::new();
    let limits = json!([{ "limit": 1, "window": "1m", "by": "ip" }]);
    let plugin = configure(&gateway, json!({ "limits": limits, "ipv4_prefix": 24, "ipv6_prefix": 128 }));
    let status = |client: &str| statuses(&gateway, &plugin, &TestRequest::get("/").from_address(client), 1)[0];
    assert_eq!([status("192.0.2.1"), status("192.0.2.2"), status("192.0.3.1")], [200, 429, 200]);
    assert_eq!([status("2001:db8::1"), status("2001:db8::2"), status("2001:db8::1")], [200, 200, 429]);
    assert_eq!(
        problems(json!({ "limits": limits, "ipv4_prefix": 0, "ipv6_prefix": 129 })),
        ["ipv4_prefix", "ipv6_prefix"]
    );
}

/// Whoever sends somebody else's address as a header value takes nothing from that one.
#[test]
fn a_header_value_is_no_address() {
    let gateway = Gateway::new();
    let plugin =
        configure(&gateway, json!({ "limits": [{ "limit": 1, "window": "1m", "by": { "header": "x-tenant" } }] }));
    let attacker = TestRequest::get("/").from_address("198.51.100.7").with_header("x-tenant", "192.0.2.1");
    assert_eq!(statuses(&gateway, &plugin, &attacker, 2), [200, 429]);
    assert_eq!(statuses(&gateway, &plugin, &TestRequest::get("/").from_address("192.0.2.1"), 2), [200, 429]);
}
