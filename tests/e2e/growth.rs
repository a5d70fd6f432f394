//! How a node grows with what it serves: start, memory, one change, one lookup.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::{Admin, Connection, Gateway, Origin, Setup, get, proof, scaled};

#[tokio::test]
async fn many_routes_and_keys_start_and_change_in_time() {
    let sizes: &[usize] = scaled(&[200], &[1_000, 10_000, 100_000]);
    for &routes in sizes {
        let grown = grow(routes, routes * 10).await;
        proof!(4, 4, format!("{routes} routes, {} keys", routes * 10), "{grown}");
    }
}

async fn grow(routes: usize, keys: usize) -> String {
    let origin = Origin::start();
    let mut gateway = Setup::database("sqlite:gateway.db").plugins(&["key-auth"]).start().await;
    let admin = gateway.admin().await;
    fill(&admin, &origin, routes, keys).await;

    let started = Instant::now();
    gateway.restart().await;
    let start = started.elapsed();
    let admin = gateway.admin().await;
    let memory = gateway.memory().rss >> 20;

    let counts = &gateway.status().await["counts"];
    assert_eq!((&counts["routes"], &counts["credentials"]), (&json!(routes), &json!(keys)));
    let change = median(changes(&admin, &gateway, routes).await);
    let lookup = median(lookups(&gateway, routes, keys).await);
    format!(
        "start {start:.1?}, {memory} MiB resident, a change live after {change:.1?}, a request with a key {lookup:.0?}"
    )
}

/// By the API, in pieces that a body may have.
async fn fill(admin: &Admin, origin: &Origin, routes: usize, keys: usize) {
    let base = json!({
        "chain": ["key-auth"],
        "plugins": [{ "name": "key-auth", "grants": { "credentials": true } }],
        "services": [{ "name": "origin", "url": origin.url() }],
    });
    applies(admin, base).await;
    for first in (0..routes).step_by(PIECE) {
        let piece: Vec<Value> = (first..routes.min(first + PIECE)).map(route).collect();
        applies(admin, json!({ "routes": piece })).await;
    }
    let consumers = keys / KEYS_EACH;
    for first in (0..consumers).step_by(PIECE / KEYS_EACH) {
        let piece: Vec<Value> = (first..consumers.min(first + PIECE / KEYS_EACH)).map(consumer).collect();
        applies(admin, json!({ "consumers": piece })).await;
    }
}

async fn applies(admin: &Admin, tree: Value) {
    let reply = admin.post("/config?prune=false", tree).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn route(n: usize) -> Value {
    json!({ "name": format!("r{n}"), "service": "origin", "paths": [format!("/area-{}/r{n}", n % 97)] })
}

fn consumer(n: usize) -> Value {
    let keys: Vec<Value> = (0..KEYS_EACH).map(|k| json!({ "id": format!("k{k}"), "key": key(n, k) })).collect();
    json!({ "name": format!("c{n}"), "keys": keys })
}

fn key(consumer: usize, key: usize) -> String {
    format!("a-key-of-consumer-{consumer}-number-{key}")
}

/// From the request to the admin API until the change is served.
async fn changes(admin: &Admin, gateway: &Gateway, routes: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for n in 0..scaled(3, 20) {
        let (route, path) = (n * 31 % routes, format!("/changed-{n}"));
        let started = Instant::now();
        admin.puts(&format!("/routes/r{route}"), json!({ "service": "origin", "paths": [path] })).await;
        let reply = gateway.send(get(&path).header("apikey", key(0, 0))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        times.push(started.elapsed());
    }
    times
}

async fn lookups(gateway: &Gateway, routes: usize, keys: usize) -> Vec<Duration> {
    let mut connection = Connection::open(gateway.proxy).await.expect("a connection");
    let mut times = Vec::new();
    for n in 0..scaled(20, 2000) {
        // Those that were changed are elsewhere now.
        let route = (n * 7919 + 700) % routes;
        let path = format!("/area-{}/r{route}", route % 97);
        let consumer = n * 104_729 % (keys / KEYS_EACH);
        let call = get(&path).header("apikey", key(consumer, n % KEYS_EACH));
        let started = Instant::now();
        let reply = connection.send(call).await.expect("an answer");
        times.push(started.elapsed());
        assert!(matches!(reply.status, 200 | 404), "{}", reply.text());
    }
    times
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Entities in one request.
const PIECE: usize = 50_000;
const KEYS_EACH: usize = 10;
