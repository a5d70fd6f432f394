use std::thread;

use serde_json::json;

use super::*;

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let bench = Bench::start();
    bench.makes("/upstreams", json!({ "name": "pair", "targets": [{ "address": "a:1" }] }));
    thread::scope(|scope| {
        for writer in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                for n in 0..5 {
                    bench.makes("/upstreams/pair/targets", json!({ "address": format!("w{writer}-{n}:1") }));
                }
            });
        }
    });
    let targets = bench.get("/upstreams/pair/targets").json();
    assert_eq!(targets["data"].as_array().map(Vec::len), Some(21));
}

/// Alone each of the two is right; together they would leave a route without its service.
#[test]
fn no_two_writes_are_wrong_together() {
    let bench = Bench::start();
    for round in 0..10 {
        bench.puts("/services/s", json!({ "url": "http://a:1" }));
        let (made, deleted) = thread::scope(|scope| {
            let made = scope.spawn(|| bench.put("/routes/r", json!({ "service": "s", "paths": ["/"] })).status);
            let deleted = scope.spawn(|| bench.delete("/services/s").status);
            (made.join().expect("no panic"), deleted.join().expect("no panic"))
        });
        assert!(matches!((made, deleted), (201, 400) | (400, 204)), "round {round}: {made} {deleted}");
        assert_eq!(bench.delete("/routes/r").status, 204);
    }
}

#[test]
fn of_two_who_saw_the_same_one_writes() {
    let bench = Bench::start().with_orders();
    let seen = bench.get("/services/orders").field("etag").expect("an ETag").to_owned();
    let statuses = thread::scope(|scope| {
        let write = |port: u16| {
            let (bench, seen) = (&bench, &seen);
            let body = json!({ "url": format!("http://a:{port}") });
            scope.spawn(move || bench.call("PUT", "/services/orders", &[("If-Match", seen)], Some(body)).status)
        };
        let both = [write(1), write(2)];
        let mut statuses = both.map(|write| write.join().expect("no panic"));
        statuses.sort_unstable();
        statuses
    });
    assert_eq!(statuses, [200, 412]);
}
