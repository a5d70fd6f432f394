//! The contract of `examples/quickstart`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tollgate_tests::{Gateway, Origin, Setup, curl, eventually, get, validate};

async fn start(origin: &Origin) -> Gateway {
    let text = std::fs::read_to_string(example("quickstart/gateway.toml")).expect("the example is there");
    assert!(text.contains(UPSTREAM), "the example's upstream moved");
    let text = text.replace(UPSTREAM, &origin.url());
    Setup::new(text).plugins(&["key-auth", "rate-limiting", "file-log"]).start().await
}

#[tokio::test]
async fn keys_limits_and_the_log_work_together() {
    let origin = Origin::start();
    let gateway = start(&origin).await;

    let refused = gateway.get("/orders/1").await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Key"), "{refused:?}");
    assert_eq!(origin.requests(), 0, "a request without a key must not reach the upstream");

    for n in 1..=10 {
        let reply = gateway.send(get("/orders/1").header("apikey", "demo-key")).await;
        assert_eq!(reply.status, 200, "request {n}: {reply:?}");
        assert_eq!(
            (reply.header("ratelimit-limit"), reply.header("ratelimit-remaining")),
            ("10", &*(10 - n).to_string())
        );
        let seen = reply.seen();
        assert_eq!(seen.target, "/orders/1");
        assert_eq!((seen.header("x-consumer-username"), seen.header("x-consumer-custom-id")), ("demo", "customer-1"));
        assert!(seen.header("x-credential-identifier").starts_with("demo-"), "{seen:?}");
        assert!(!seen.has("apikey"), "the key is for the gateway, not for the upstream");
    }

    let throttled = gateway.send(get("/orders/1").header("apikey", "demo-key")).await;
    assert_eq!((throttled.status, throttled.header("ratelimit-remaining")), (429, "0"), "{throttled:?}");
    let retry_after: u64 = throttled.header("retry-after").parse().expect("seconds");
    assert!((1..=66).contains(&retry_after), "{retry_after}");
    assert!(throttled.headers.contains_key("ratelimit") && throttled.headers.contains_key("ratelimit-policy"));
    assert_eq!(origin.requests(), 10);

    let lines = eventually(Duration::from_secs(10), async || {
        let log = gateway.data_file("access.log");
        if log.lines().count() == 12 { Ok(log) } else { Err(format!("12 requests, and the log has:\n{log}")) }
    })
    .await;
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let statuses = |status: u64| records.iter().filter(|record| record["status"] == status).count();
    assert_eq!((statuses(401), statuses(200), statuses(429)), (1, 10, 1));
    for record in records.iter().filter(|record| record["status"] == 200) {
        assert_eq!(
            (&record["consumer"], &record["route"], &record["target"]),
            (&"demo".into(), &"orders".into(), &"/orders/1".into())
        );
    }
}

#[tokio::test]
async fn the_readme_s_curl_lines_work() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    let url = format!("http://{}/orders/1", gateway.proxy);
    let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    assert_eq!(curl(&[&status[..], &[&url]].concat()).await.stdout, "401");
    assert_eq!(curl(&[&status[..], &["-H", "apikey: demo-key", &url]].concat()).await.stdout, "200");
    assert_eq!(curl(&[&status[..], &["-H", "apikey: wrong-key", &url]].concat()).await.stdout, "401");
}

#[tokio::test]
async fn the_example_is_valid_as_it_stands() {
    let ran = validate(&example("quickstart/tollgate.toml"));
    assert_eq!(ran.code, 0, "{ran:?}");
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

const UPSTREAM: &str = "http://127.0.0.1:9000";
