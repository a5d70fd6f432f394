use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::testing::{FakeNode, Running};

fn node() -> FakeNode {
    FakeNode::serving(&json!({
        "services": [{ "name": "orders", "url": "http://127.0.0.1:9000" }],
        "routes": [{ "name": "orders", "service": "orders", "paths": ["/orders"] }],
        "consumers": [{ "name": "demo", "keys": [{ "key": "canary-key" }] }],
    }))
}

fn serve(node: FakeNode) -> Running {
    Running::start(|listener, shutdown| serve_status(listener, Arc::new(node), shutdown))
}

#[test]
fn probes_follow_the_phase() {
    for (phase, loaded, ready, started) in [
        (Phase::Starting, false, 503, 503),
        (Phase::Starting, true, 503, 503),
        (Phase::Serving, true, 200, 200),
        (Phase::Draining, true, 503, 200),
        (Phase::Draining, false, 503, 503),
    ] {
        let mut node = node();
        node.status.phase = phase;
        if !loaded {
            node.status.configuration.loaded_at = None;
        }
        let running = serve(node);
        let readiness = running.get("/status/ready");
        assert_eq!(readiness.status, ready, "{phase:?}");
        assert_eq!(readiness.json()["ready"], json!(ready == 200));
        assert_eq!(readiness.json()["reason"].is_string(), ready == 503, "{readiness:?}");
        assert_eq!(running.get("/status/startup").status, started, "{phase:?}");
        assert_eq!(running.get("/status").status, 200, "{phase:?}");
    }
}

#[test]
fn a_worker_that_hangs_makes_the_node_unready() {
    let mut node = node();
    let silent_for = Some(tollgate_model::units::TimeSpan(std::time::Duration::from_secs(7)));
    node.status.worker_faults =
        vec![crate::node::WorkerFault { worker: 1, state: crate::node::WorkerState::Stuck, silent_for }];
    let running = serve(node);
    let readiness = running.get("/status/ready");
    assert_eq!((readiness.status, &readiness.json()["reason"]), (503, &json!("a worker thread does not move")));
    let faults = running.get("/status").json()["worker_faults"].clone();
    assert_eq!(faults, json!([{ "worker": 1, "state": "stuck", "silent_for": "7s" }]));
    assert_eq!(parse(&running.get("/metrics").body)["tollgate_workers_faulty"], 1.0);
}

#[test]
fn the_status_tells_what_serves() {
    let status = serve(node()).get("/status").json();
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["configuration"]["source"], "file:gateway.toml");
    assert_eq!(status["configuration"]["generation"], 4);
    assert_eq!(status["degraded_places"], json!([{ "place": "route old", "reason": "no module" }]));
    let out = json!({ "target": "10.0.0.1:80", "state": "ejected", "reason": "reset", "tried_in": "9s" });
    assert_eq!(status["upstreams"][0]["targets_out"], json!([out]));
    let modules = json!({ "serving": 1, "stale": 1, "removed": 0, "loading": 0, "broken": 0, "faults": 4, "generations_alive": 4 });
    assert_eq!(status["modules"], modules);
}

#[test]
fn anything_else_is_refused_in_json() {
    let running = serve(node());
    assert_eq!(running.get("/services").status, 404);
    let message = running.get("/services").message();
    for path in message.split([' ', ',']).filter(|word| word.starts_with('/')) {
        assert_eq!(running.get(path).status, 200, "{path} of {message}");
    }
    assert!(message.contains("/metrics"), "{message}");
    let write = running.send("POST", "/status", &[("Host", "localhost")]);
    assert_eq!((write.status, write.field("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn no_page_reads_the_status_under_a_name_of_its_own() {
    let running = serve(node());
    for host in ["localhost", "127.0.0.1:8007", "10.0.0.1", "[::1]:80"] {
        assert_eq!(running.send("GET", "/status", &[("Host", host)]).status, 200, "{host}");
    }
    for (path, host) in [("/status", "evil.test"), ("/metrics", "evil.test:8007"), ("/", "localhost.evil.test")] {
        assert_eq!(running.send("GET", path, &[("Host", host)]).status, 403, "{host}");
    }
}

#[test]
fn metrics_are_well_formed_and_complete() {
    let answer = serve(node()).get("/metrics");
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status, answer.field("content-type")), (200, Some(expected)));
    let samples = parse(&answer.body);
    for (sample, value) in [
        ("tollgate_requests_total{class=\"2xx\"}", 9.0),
        ("tollgate_requests_total{class=\"4xx\"}", 1.0),
        ("tollgate_request_duration_seconds_bucket{le=\"0.005\"}", 7.0),
        ("tollgate_request_duration_seconds_bucket{le=\"0.5\"}", 9.0),
        ("tollgate_request_duration_seconds_bucket{le=\"+Inf\"}", 10.0),
        ("tollgate_request_duration_seconds_count", 10.0),
        ("tollgate_request_duration_seconds_sum", 3.25),
        ("tollgate_upstream_duration_seconds_count", 10.0),
        ("tollgate_connections", 5.0),
        ("tollgate_worker_connections{worker=\"1\"}", 2.0),
        ("tollgate_connections_limited_total{limit=\"node\"}", 4.0),
        ("tollgate_connections_handed_over_total", 8.0),
        ("tollgate_connections_accepted_total", 12.0),
        ("tollgate_upstream_connections", 2.0),
        ("tollgate_upstream_ejections_total", 3.0),
        ("tollgate_upstream_targets{upstream=\"pair\",state=\"ejected\"}", 1.0),
        ("tollgate_upstream_errors_total{kind=\"connect_failed\"}", 1.0),
        ("tollgate_plugin_faults_total{module=\"limits\",kind=\"trap\"}", 0.0),
        ("tollgate_errors_total{kind=\"no_route\"}", 1.0),
        ("tollgate_log_records_dropped_total", 0.0),
        ("tollgate_sink_writes_dropped_total", 0.0),
        ("tollgate_config_generation", 4.0),
        ("tollgate_config_reloads_total{result=\"applied\"}", 4.0),
        ("tollgate_config_reloads_total{result=\"refused\"}", 1.0),
        ("tollgate_config_last_error", 1.0),
        ("tollgate_modules{state=\"stale\"}", 1.0),
        ("tollgate_module_generations_alive", 4.0),
        ("tollgate_limiter_counters", 6.0),
        ("tollgate_held_bodies_bytes", 7.0),
        ("tollgate_routes", 1.0),
        ("tollgate_degraded_places", 1.0),
        ("tollgate_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}\n{}", answer.body);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_is_measured() {
    let samples = parse(&serve(node()).get("/metrics").body);
    let within = |name: &str, least: f64, most: f64| {
        let value = samples.get(name).copied().unwrap_or(f64::NAN);
        assert!((least..=most).contains(&value), "{name} is {value}");
    };
    within("process_resident_memory_bytes", 500e3, 10e9);
    within("process_open_fds", 4.0, samples["process_max_fds"]);
    within("process_cpu_seconds_total", 0.0, 3_600.0);
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
    within("process_start_time_seconds", now - 3_600.0, now + 5.0);
}

#[test]
fn a_node_that_counted_nothing_yet_has_metrics_too() {
    let mut node = node();
    node.metrics = Default::default();
    let samples = parse(&serve(node).get("/metrics").body);
    assert_eq!(samples["tollgate_request_duration_seconds_bucket{le=\"+Inf\"}"], 0.0);
    assert_eq!(samples["tollgate_connections_accepted_total"], 0.0);
}

/// Samples by name and labels, read as strictly as OpenMetrics 1.0 asks for: each family is described
/// once and before its samples, which stand together and have the suffixes of its type; buckets are
/// cumulative; the end is marked.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("an end");
    let (mut samples, mut types, mut helped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut family = "";
    let mut last_bucket = 0.0;
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            let [keyword, name, rest] = words[..] else { panic!("cut short: {line}") };
            assert!(is_name(name), "{line}");
            match keyword {
                "HELP" => assert!(helped.insert(name), "described twice: {line}"),
                "TYPE" => assert!(types.insert(name, rest).is_none(), "typed twice: {line}"),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            assert!(keyword == "HELP" || helped.contains(name), "no help: {line}");
            (family, last_bucket) = (name, 0.0);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("not of {family}: {line}"));
        let allowed: &[&str] = match types.get(family).copied() {
            Some("counter") => &["_total"],
            Some("gauge") => &[""],
            Some("info") => &["_info"],
            Some("histogram") => &["_bucket", "_sum", "_count"],
            other => panic!("{other:?}: {line}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("open labels: {line}"));
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once('=').expect("a label");
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            assert!(is_name(name) && value.is_some_and(|value| !value.contains(['"', '\\'])), "{line}");
        }
        if suffix == "_bucket" {
            assert!(value >= last_bucket, "not cumulative: {line}");
            last_bucket = value;
        }
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    // A family's own name must not be that of another one's samples.
    for (name, kind) in &types {
        let sample = format!("{name}_total");
        assert!(*kind != "counter" || !types.contains_key(sample.as_str()), "{name}");
    }
    samples
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
