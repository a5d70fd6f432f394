use std::time::Duration;

use serde_json::{Value, json};
use tollgate_plugin_sdk::testing::{Gateway, Level, TestRecord};

use super::FileLog;

/// What stands in the file after a batch, a line each.
fn logged(settings: Value, records: &[TestRecord]) -> Vec<Value> {
    let gateway = Gateway::new();
    let plugin = gateway.configure::<FileLog>(settings).expect("valid settings");
    gateway.log(&plugin, records);
    let text = String::from_utf8(gateway.sink("file:access.log")).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn record() -> TestRecord {
    TestRecord {
        started_at: Duration::from_millis(1_709_251_199_999),
        duration: Duration::from_micros(1_250),
        upstream_duration: Duration::from_micros(900),
        request_bytes: 10,
        response_bytes: 20,
        status: 200,
        attempts: 1,
        aborted: false,
        request_id: "r-1".to_owned(),
        client_address: "192.0.2.1".to_owned(),
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        host: "gateway.test".to_owned(),
        target: "/orders?x=1".to_owned(),
        http_version: "HTTP/1.1".to_owned(),
        user_agent: "curl".to_owned(),
        route: "orders".to_owned(),
        service: "orders".to_owned(),
        upstream: "127.0.0.1:9000".to_owned(),
        consumer: "demo".to_owned(),
        fields: String::new(),
    }
}

#[test]
fn a_line_holds_all_of_a_request() {
    let expected = json!({
        "time": "2024-02-29T23:59:59.999Z",
        "request_id": "r-1",
        "client": "192.0.2.1",
        "method": "GET",
        "scheme": "http",
        "host": "gateway.test",
        "target": "/orders?x=1",
        "http_version": "HTTP/1.1",
        "status": 200,
        "request_bytes": 10,
        "response_bytes": 20,
        "duration_us": 1250,
        "upstream_duration_us": 900,
        "route": "orders",
        "service": "orders",
        "upstream": "127.0.0.1:9000",
        "consumer": "demo",
        "user_agent": "curl",
        "attempts": 1,
        "aborted": false,
    });
    assert_eq!(logged(json!({ "path": "access.log" }), &[record()]), [expected]);
}

#[test]
fn each_request_of_a_batch_has_its_line() {
    let ids = ["a", "b", "c"].map(|id| TestRecord { request_id: id.to_owned(), ..record() });
    let lines = logged(json!({ "path": "access.log" }), &ids);
    assert_eq!(lines.iter().map(|line| &line["request_id"]).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn what_was_not_known_is_null() {
    let refused = TestRecord { attempts: 0, upstream: String::new(), consumer: String::new(), ..record() };
    let [line] = &logged(json!({ "path": "access.log" }), &[refused])[..] else { panic!("one line") };
    for name in ["upstream", "consumer", "upstream_duration_us"] {
        assert_eq!(line[name], Value::Null, "{name}");
    }
}

#[test]
fn a_client_cannot_break_a_line() {
    let agent = "a\"b\\c\nd\u{1}\u{2028}é";
    let hostile = TestRecord { user_agent: agent.to_owned(), ..record() };
    let lines = logged(json!({ "path": "access.log" }), &[hostile, record()]);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["user_agent"], agent);
}

#[test]
fn constants_and_fields_of_other_plugins_are_added() {
    let settings = json!({ "path": "access.log", "extra": { "region": "eu \"1\"" } });
    let tagged = TestRecord { fields: "\"tenant\":\"red\",\"cost\":3".to_owned(), ..record() };
    let [line] = &logged(settings, &[tagged])[..] else { panic!("one line") };
    assert_eq!((&line["region"], &line["tenant"], &line["cost"]), (&json!("eu \"1\""), &json!("red"), &json!(3)));
}

#[test]
fn excluded_fields_are_left_out() {
    let settings = json!({ "path": "access.log", "exclude": ["time", "target", "user_agent"] });
    let [line] = &logged(settings, &[record()])[..] else { panic!("one line") };
    let members = line.as_object().expect("an object");
    assert_eq!(members.len(), 17);
    assert!(!members.contains_key("target"));
}

#[test]
fn a_lost_batch_is_reported() {
    let gateway = Gateway::new();
    let plugin = gateway.configure::<FileLog>(json!({ "path": "access.log" })).expect("valid settings");
    gateway.set_sinks_full(true);
    gateway.log(&plugin, &[record(), record()]);
    let [line] = &gateway.log_lines()[..] else { panic!("one line") };
    assert_eq!(line.level, Level::Warn);
    assert!(line.message.contains('2'), "{}", line.message);
}

#[test]
fn wrong_settings_are_reported() {
    let problems = |settings| {
        let refused = Gateway::new().configure::<FileLog>(settings).err().expect("invalid settings");
        refused.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(problems(json!({ "path": "", "extra": { "status": "x" } })), ["path", "extra.status"]);
    assert_eq!(problems(json!({ "path": "a", "exclude": ["nothing"] })), ["exclude[0]"]);
}
