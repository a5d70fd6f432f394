//! No failed request and no closed connection while everything is swapped.

use std::time::{Duration, Instant};

use tollgate_tests::{Gateway, Load, Origin, Setup, WebSocket, eventually, get, modules, proof, scaled};

use crate::configs::chained;
use crate::modules::old_generations_gone;

fn config(origin: &Origin, revision: u32) -> String {
    chained(origin, &["marker"])
        + &format!("[[plugins]]\nname = \"marker\"\nmodule = \"marker\"\nconfig = {{ value = \"r{revision}\" }}\n")
}

async fn seen(gateway: &Gateway, field: &str, wanted: &str) {
    eventually(Duration::from_secs(60), async || {
        let reply = gateway.get("/").await;
        if reply.header(field) == wanted { Ok(()) } else { Err(format!("{wanted} is not live: {reply:?}")) }
    })
    .await;
}

/// Sizes of the process once things have settled.
async fn sizes(gateway: &Gateway) -> (u64, usize) {
    let mut lowest = (u64::MAX, usize::MAX);
    // Old generations go a moment after the swap; the lowest of a short while is what stays.
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        gateway.get("/").await;
        lowest = (lowest.0.min(gateway.memory().own), lowest.1.min(gateway.descriptors()));
    }
    lowest
}

#[tokio::test]
async fn swaps_of_modules_and_configurations_lose_nothing() {
    let swaps: u32 = scaled(30, 1000);
    let warm = swaps / 5;
    let origin = Origin::start();
    // What is free goes back to the system at once: what is left is held by somebody.
    let setup = Setup::new(config(&origin, 0)).variable("MIMALLOC_PURGE_DELAY", "0");
    let gateway = setup.module_bytes("marker", &modules::marked(0)).start().await;
    seen(&gateway, "x-marker", &modules::marker(0)).await;

    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(WebSocket::open(gateway.proxy, "/socket", &[]).await.expect("an upgrade"));
    }
    let load = Load::steady(gateway.proxy, 16, get("/"));
    let started = Instant::now();
    let mut samples = Vec::new();
    for n in 1..=swaps {
        gateway.write_module("marker", &modules::marked(n));
        seen(&gateway, "x-marker", &modules::marker(n)).await;
        gateway.write_config(&config(&origin, n));
        seen(&gateway, "x-settings", &format!("r{n}")).await;
        if n >= warm && (n - warm).is_multiple_of(swaps / 10) {
            samples.push(sizes(&gateway).await);
        }
    }
    let took = started.elapsed();
    for socket in &mut sockets {
        socket.echo("still here").await.expect("a WebSocket stays open across all swaps");
    }
    let tally = load.stop();
    tally.assert_clean();

    // Of each half the median: a swap that is under way takes memory for a moment, and an allocator's pages come and go.
    let (earlier, later) = samples.split_at(samples.len() / 2);
    let [before, after] = [earlier, later].map(|half| {
        let mut half = half.to_vec();
        half.sort_unstable();
        let descriptors = half.iter().map(|(_, descriptors)| *descriptors as u64).min().expect("a sample at least");
        (half[half.len() / 2].0, descriptors)
    });
    let growth = after.0.saturating_sub(before.0);
    assert!(growth < scaled(8 << 20, 2 << 20), "{} KiB more between the halves: {samples:?}", growth >> 10);
    assert!(after.1 <= before.1 + 4, "descriptors: {samples:?}");
    old_generations_gone(&gateway, "marker").await;
    proof!(
        2,
        2,
        format!("{swaps} module swaps and {swaps} rewrites of gateway.toml under load, 8 WebSockets open"),
        "{} requests, 0 failed, 0 closed; between the halves of what follows swap {warm} memory {:+} KiB, \
         descriptors {:+}; p99 {:?}; {:.0} ms a pair",
        tally.requests,
        (after.0 as i64 - before.0 as i64) >> 10,
        after.1 as i64 - before.1 as i64,
        tally.quantile(0.99),
        took.as_secs_f64() * 1000.0 / f64::from(swaps)
    );
}
