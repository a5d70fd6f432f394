//! The imports that no plugin of ours has a use for, as a plugin sees them: the guest `everything` answers with what
//! each call returned.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tollgate_tests::{Gateway, Origin, Setup, get};

use crate::configs::chained;

/// With long limits: what calls return is looked at, not how long they take on a busy machine.
async fn start(origin: &Origin) -> Gateway {
    let config = chained(origin, &["everything"])
        + "[[plugins]]\nname = \"everything\"\nmodule = \"everything\"\nlimits = { cpu = \"5s\", wall = \"30s\" }\n";
    Setup::new(config).guests(&["everything"]).start().await
}

async fn told(gateway: &Gateway, path: &str) -> Value {
    let reply = gateway.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.json()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("the file is JSON")
}

#[tokio::test]
async fn the_store_keeps_what_it_was_given_until_its_end() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    // The second time is as the first: nothing is left behind.
    for _ in 0..2 {
        assert_eq!(told(&gateway, "/kv").await, parsed(include_str!("../guests/everything/told/kv.json")));
    }
    let lifetimes = parsed(include_str!("../guests/everything/told/kv-lifetimes.json"));
    assert_eq!(told(&gateway, "/kv/lifetimes").await, lifetimes);
    let scopes = json!({ "set": "done", "read": "of the node", "deleted": true, "gone": null });
    assert_eq!(told(&gateway, "/kv/scopes").await, scopes, "the cluster is this node");
}

#[tokio::test]
async fn what_is_too_large_for_the_store_is_told_from_what_it_has_no_room_for() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    let bounds = parsed(include_str!("../guests/everything/told/kv-bounds.json"));
    assert_eq!(told(&gateway, "/kv/bounds").await, bounds);
    assert_eq!(told(&gateway, "/kv/full").await, json!({ "failure": "Full", "first": 65_536 }));
}

#[tokio::test]
async fn limits_that_are_taken_together_stand_each_for_itself() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    assert_eq!(told(&gateway, "/limiter").await, parsed(include_str!("../guests/everything/told/limiter.json")));
}

#[tokio::test]
async fn all_fields_of_a_request_are_listed() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    let call = get("/headers").header("x-one", "only").header("x-two", "first").header("x-two", "second");
    let host = gateway.proxy.to_string();
    let fields = json!([["host", host], ["x-one", "only"], ["x-two", "first"], ["x-two", "second"]]);
    assert_eq!(gateway.send(call).await.json(), fields);
}

#[tokio::test]
async fn all_fields_of_a_response_are_listed_before_there_is_one_and_when_it_is_there() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    let early = parsed(include_str!("../guests/everything/told/early.json"));
    let reply = gateway.get("/early").await;
    assert_eq!(reply.json(), early, "those for the response to come");
    assert_eq!(parsed(reply.header("x-fields")), early, "they are those of the plugin's own answer");
    let sent: Vec<_> = reply.headers.get_all("x-early").iter().map(|value| value.to_str().expect("text")).collect();
    assert_eq!((sent, reply.header("x-other")), (vec!["first", "second"], "third"), "and the client has them");

    let call = get("/upstream").origin("header=x-one:only header=x-two:first header=x-two:second");
    let reply = gateway.send(call).await;
    let listed: Vec<(String, String)> = serde_json::from_str(reply.header("x-fields")).expect("names and values");
    let field = |name: &str| -> Vec<&str> {
        listed.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!((field("x-one"), field("x-two")), (vec!["only"], vec!["first", "second"]));
    assert_eq!(field("content-type"), ["application/json"], "{listed:?}");
}

#[tokio::test]
async fn randomness_has_the_length_that_was_asked_for() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    let (drawn, again) = (told(&gateway, "/random").await, told(&gateway, "/random").await);
    let length = |name: &str| drawn[name].as_array().map(Vec::len);
    assert_eq!((length("first"), length("second"), length("none")), (Some(16), Some(16), Some(0)));
    assert_eq!(drawn["most"], 65_536);
    assert_ne!(drawn["first"], drawn["second"], "twice the same");
    assert_ne!(drawn["first"], again["first"], "the same in the next request");
    assert_ne!(drawn["numbers"][0], drawn["numbers"][1], "twice the same number");
}

#[tokio::test]
async fn clocks_tell_the_time_and_a_sleep_takes_it() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let (before, started) = (now(), Instant::now());
    let told = told(&gateway, "/clock").await;
    let (took, after) = (started.elapsed(), now());
    let number = |name: &str| told[name].as_u64().expect("a number");
    assert!((before..=after).contains(&number("now")), "{before} to {after}: {told}");
    let [asked, slept] = ["asked", "slept"].map(|name| Duration::from_nanos(number(name)));
    assert!(asked > Duration::ZERO && slept >= asked, "slept for {slept:?} instead of {asked:?}");
    assert!(slept <= took, "slept for {slept:?} in a request that took {took:?}");
}
