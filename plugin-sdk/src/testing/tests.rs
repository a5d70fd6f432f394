use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::limiter::{Algorithm, Decision, Rule};
use crate::prelude::*;
use crate::{context, kv, limiter, random};

/// A plugin whose hooks a test writes.
struct Scripted {
    on_request: fn(&mut Request) -> Action,
    on_request_body: fn(&mut Request, &mut Body) -> Action,
    on_response: fn(&mut Response),
    on_response_body: fn(&mut Response, &mut Body),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only decoded")]
struct Settings {
    limits: Vec<Limit>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only decoded")]
struct Limit {
    window: crate::settings::Interval,
}

impl Plugin for Scripted {
    type Settings = Settings;
    const HOOKS: Hooks = Hooks::REQUEST.and(Hooks::REQUEST_BODY).and(Hooks::RESPONSE).and(Hooks::RESPONSE_BODY);

    fn configure(_: Settings) -> Result<Self, Problems> {
        Ok(SCRIPT)
    }

    fn on_request(&self, request: &mut Request) -> Action {
        (self.on_request)(request)
    }

    fn on_request_body(&self, request: &mut Request, body: &mut Body) -> Action {
        (self.on_request_body)(request, body)
    }

    fn on_response(&self, response: &mut Response) {
        (self.on_response)(response);
    }

    fn on_response_body(&self, response: &mut Response, body: &mut Body) {
        (self.on_response_body)(response, body);
    }
}

const SCRIPT: Scripted = Scripted {
    on_request: |_| Action::Continue,
    on_request_body: |_, _| Action::Continue,
    on_response: |_| {},
    on_response_body: |_, _| {},
};

fn send(gateway: &Gateway, script: Scripted, request: TestRequest) -> Exchange {
    let subscription = Subscription::to(Scripted::HOOKS);
    gateway.send(&Configured { plugin: script, subscription }, request)
}

/// Runs code as a hook on a request.
fn on_request(gateway: &Gateway, hook: fn(&mut Request) -> Action) -> Exchange {
    send(gateway, Scripted { on_request: hook, ..SCRIPT }, TestRequest::get("/path?a=1"))
}

#[test]
fn a_wrong_setting_is_reported_at_its_place() {
    let refused = |settings| {
        let problems = Gateway::new().configure::<Scripted>(settings).err().expect("invalid settings");
        problems.to_string()
    };
    let message = refused(json!({ "limits": [{ "window": "1m" }, { "window": "1" }] }));
    assert!(message.starts_with("limits[1].window: `1` is not a duration"), "{message}");
    let message = refused(json!({ "limits": [], "limit": 1 }));
    assert!(message.starts_with("limit: unknown field `limit`"), "{message}");
    assert_eq!(refused(json!({})), "missing field `limits`");
}

#[test]
fn the_schema_names_the_settings() {
    let schema = Gateway::new().settings_schema::<Scripted>();
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["required"], json!(["limits"]));
}

#[test]
fn heads_are_edited_and_what_is_the_gateways_is_not() {
    let exchange = on_request(&Gateway::new(), |request| {
        let name = HeaderName::new("X-Twice").expect("a valid name");
        assert_eq!(request.headers().append(name, "one"), Edit::Done);
        assert_eq!(request.headers().append("x-twice", 2), Edit::Done);
        assert_eq!(request.headers().values(name).map(Value::text).collect::<Vec<_>>(), ["one", "2"]);
        assert_eq!(request.headers().set("content-length", 5), Edit::Reserved);
        assert_eq!(request.headers().set("x-consumer-id", "me"), Edit::Reserved);
        assert_eq!(request.headers().set("x-split", "a\r\nb"), Edit::Invalid);
        assert_eq!(request.headers().set("no name", "a"), Edit::Invalid);
        assert_eq!(request.set_path("/other"), Edit::Done);
        assert_eq!(request.set_query(None), Edit::Done);
        assert_eq!(request.response_headers().set("x-early", "yes"), Edit::Done);
        Action::Continue
    });
    let upstream = exchange.upstream.expect("passed");
    assert_eq!((upstream.path.as_str(), upstream.query), ("/other", None));
    assert_eq!(exchange.response.header("x-early"), Some("yes"));
}

#[test]
fn once_a_streamed_body_flows_the_head_is_gone() {
    let script = Scripted {
        on_request_body: |request, body| {
            let text = String::from_utf8(body.read()).expect("a text");
            let expected = if text == "one" { Edit::Done } else { Edit::TooLate };
            assert_eq!(request.headers().set("x-seen", &text), expected);
            assert_eq!(body.is_last(), text == "two");
            body.write(text.to_uppercase()).expect("small enough");
            Action::Continue
        },
        ..SCRIPT
    };
    let request = TestRequest::new("POST", "/").with_body_pieces(["one", "two"]);
    let upstream = send(&Gateway::new(), script, request).upstream.expect("passed");
    assert_eq!((upstream.header("x-seen"), upstream.body()), (Some("one"), b"ONETWO".to_vec()));
}

#[test]
fn a_plugins_answer_passes_its_response_hooks() {
    let script = Scripted {
        on_request: |request| request.answer(201, "made"),
        on_response: |response| {
            assert_eq!((response.status(), response.origin()), (201, crate::Origin::Plugin));
            response.set_status(202);
        },
        on_response_body: |_, body| body.write([&body.read()[..], b"!"].concat()).expect("small enough"),
        ..SCRIPT
    };
    let exchange = send(&Gateway::new(), script, TestRequest::get("/"));
    assert_eq!((exchange.response.status, exchange.response.body()), (202, b"made!".to_vec()));
}

#[test]
fn the_context_lasts_from_hook_to_hook_and_no_longer() {
    let gateway = Gateway::new();
    let script = || Scripted {
        on_request: |_| {
            assert!(context::get("mine.count").is_none());
            context::set("mine.count", 7).expect("there is room");
            context::set("mine.big", &vec![0; 65 * 1024]).expect_err("there is no room");
            Action::Continue
        },
        on_response: |_| assert_eq!(context::number("mine.count"), 7),
        ..SCRIPT
    };
    send(&gateway, script(), TestRequest::get("/"));
    send(&gateway, script(), TestRequest::get("/"));
}

#[test]
fn kept_values_end_with_their_time_to_live() {
    let gateway = Gateway::new();
    on_request(&gateway, |_| {
        kv::node().set("key", "one", Some(Duration::from_secs(10))).expect("kept");
        let one = kv::node().get("key");
        assert_eq!(kv::node().compare_and_set("key", None, "two", None), Ok(false));
        assert_eq!(kv::node().compare_and_set("key", one, "two", Some(Duration::from_secs(10))), Ok(true));
        assert!(kv::cluster().get("key").is_none());
        Action::Continue
    });
    gateway.advance(Duration::from_secs(9));
    on_request(&gateway, |_| {
        assert_eq!(kv::node().get("key").map(Value::text).as_deref(), Some("two"));
        Action::Continue
    });
    gateway.advance(Duration::from_secs(1));
    on_request(&gateway, |_| {
        assert!(!kv::node().delete("key"));
        Action::Continue
    });
}

#[test]
fn permits_are_settled_and_given_back() {
    struct Counting(limiter::Limit);
    impl Plugin for Counting {
        type Settings = Settings;
        const HOOKS: Hooks = Hooks::REQUEST;

        fn configure(_: Settings) -> Result<Self, Problems> {
            let window = Duration::from_secs(60);
            let rule = Rule { name: "it".into(), algorithm: Algorithm::SlidingWindow, limit: 10, window, burst: 0 };
            Ok(Self(rule.define()?))
        }

        fn on_request(&self, request: &mut Request) -> Action {
            let verdict = limiter::take(&[self.0.ask(request.header("x-who"), 4)]);
            match (verdict.reservation, request.header("x-then").map(Value::text).as_deref()) {
                (Some(reservation), Some("commit")) => reservation.commit(1),
                (Some(reservation), Some("refund")) => reservation.refund(),
                _ => assert_eq!(verdict.decision == Decision::Admitted, verdict.reservation.is_some()),
            }
            Action::Continue
        }
    }
    let gateway = Gateway::new();
    let counting = gateway.configure::<Counting>(json!({ "limits": [] })).expect("valid settings");
    let request = || TestRequest::get("/").with_header("x-who", "ann");
    for (then, used) in [("keep", 4), ("commit", 5), ("refund", 5), ("keep", 9), ("keep", 9)] {
        gateway.send(&counting, request().with_header("x-then", then));
        assert_eq!(gateway.permits_used("it", "ann"), used);
    }
}

#[test]
fn what_a_plugin_says_is_kept() {
    let gateway = Gateway::new();
    let exchange = on_request(&gateway, |_| {
        crate::warn!("{} of {}", 1, 2);
        crate::log::field("tenant", "red");
        Action::Continue
    });
    assert_eq!(gateway.log_lines(), [LogLine { level: Level::Warn, message: "1 of 2".to_owned() }]);
    assert_eq!(exchange.log_fields, [("tenant".to_owned(), "red".to_owned())]);
}

#[test]
fn time_moves_only_when_told() {
    let gateway = Gateway::new();
    gateway.set_time(Duration::from_secs(100));
    on_request(&gateway, |_| {
        let before = crate::clock::monotonic();
        assert_ne!(random::number(), random::number());
        assert_eq!(crate::clock::now(), Duration::from_secs(100));
        // tidy: sleep because the hook under test is the waiting call itself
        crate::clock::sleep(Duration::from_secs(3));
        assert_eq!(crate::clock::monotonic() - before, Duration::from_secs(3));
        Action::Continue
    });
}

#[test]
#[should_panic(expected = "there is no body in Request")]
fn a_body_outside_of_its_hook_traps() {
    on_request(&Gateway::new(), |_| {
        Body::current(true).read();
        Action::Continue
    });
}
