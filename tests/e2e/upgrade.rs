//! `tollgate upgrade`: another process takes over, and no request notices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_util::future::join_all;
use tollgate_tests::{Connection, Gateway, Load, Origin, Process, Setup, WebSocket, get, proof, scaled, until};

use crate::configs::{chained, plain};
use crate::modules::has_state;

const SOON: Duration = Duration::from_secs(30);

async fn gone(mut process: Process) {
    let status = process.ended(SOON).await;
    assert!(status.success(), "{status}");
}

/// A program that takes the place of the new binary.
fn script(gateway: &Gateway, text: &str) -> String {
    let path = gateway.path("successor");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    path.display().to_string()
}

/// The node was not replaced, and is as well as before.
async fn serves_as_before(gateway: &mut Gateway, id: u32, origin: &Origin) {
    assert_eq!(gateway.process().id(), id);
    assert!(gateway.process().exited().is_none(), "it goes on");
    assert_eq!(gateway.ready().await, Some(200));
    let before = origin.requests();
    assert_eq!(gateway.get("/").await.status, 200);
    assert_eq!(origin.requests(), before + 1);
}

#[tokio::test]
async fn upgrades_under_load_lose_nothing() {
    let upgrades = scaled(5, 50);
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let addresses = (gateway.proxy, gateway.admin, gateway.status);
    let load = Load::steady(gateway.proxy, 16, get("/"));
    // Every request on a connection of its own: those meet the sockets while they change hands.
    let fresh = Load::steady(gateway.proxy, 8, get("/").header("connection", "close"));
    let probes = Load::steady(gateway.status, 2, get("/status/ready"));
    let mut first = None;
    for _ in 0..upgrades {
        let mut socket = WebSocket::open(gateway.proxy, "/socket", &[]).await.expect("an upgrade");
        let (proxy, before) = (gateway.proxy, origin.requests());
        let slow = tokio::spawn(get("/").origin("delay=300 size=100000 chunks=10 gap=20").try_send(proxy));
        until(SOON, "the slow request is at the upstream", async || origin.requests() > before).await;
        let old = gateway.upgrade().await;
        assert_eq!((gateway.proxy, gateway.admin, gateway.status), addresses);
        let reply = slow.await.expect("no panic").expect("an accepted request is answered");
        assert_eq!((reply.status, reply.body.len()), (200, 100_000));
        socket.echo("still here").await.expect("a WebSocket stays with the process that opened it");
        socket.close().await.expect("a clean end");
        gone(old).await;
        first.get_or_insert_with(|| gateway.descriptors());
    }
    let (tally, fresh, probes) = (load.stop(), fresh.stop(), probes.stop());
    for tally in [&tally, &fresh, &probes] {
        assert_eq!(tally.failed, 0, "of {}: {:#?}", tally.requests, tally.complaints);
    }
    let (first, last) = (first.expect("at least one upgrade"), gateway.descriptors());
    // Connections of the load may be open to the upstream or not.
    assert!(last <= first + 64, "{first} descriptors after the first upgrade, {last} after the last");
    proof!(
        3,
        3,
        format!("{upgrades} upgrades of the binary under load, one after another"),
        "{} requests on kept and {} on new connections, {} probes: 0 failed; p99 {:?}; descriptors {:+}",
        tally.requests,
        fresh.requests,
        probes.requests,
        tally.quantile(0.99),
        last as i64 - first as i64
    );
}

#[tokio::test]
async fn more_and_fewer_workers_accept_from_every_socket() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).workers(2).start().await;
    let config = fs::read_to_string(gateway.path("tollgate.toml")).expect("it is there");
    for workers in [4, 1, 3] {
        let changed = config.replace("workers = 2", &format!("workers = {workers}"));
        fs::write(gateway.path("tollgate.toml"), changed).expect("the folder is ours");
        gone(gateway.upgrade().await).await;
        assert_eq!(gateway.status().await["workers"], workers);
        // The kernel spreads them over all sockets that were ever opened.
        let replies = join_all((0..64).map(|_| get("/").try_send(gateway.proxy))).await;
        for reply in replies {
            assert_eq!(reply.expect("an answer").status, 200);
        }
    }
}

#[tokio::test]
async fn addresses_follow_the_configuration() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let old = gateway.proxy;
    let mut kept = Connection::open(old).await.expect("a connection");
    kept.send(get("/")).await.expect("an answer");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let config = fs::read_to_string(gateway.path("tollgate.toml")).expect("it is there");
    let changed = config.replacen("127.0.0.1:0", &free.to_string(), 1);
    fs::write(gateway.path("tollgate.toml"), changed).expect("the folder is ours");
    let before = gateway.upgrade().await;
    assert_eq!(gateway.proxy, free);
    assert_eq!(gateway.get("/").await.status, 200);
    gone(before).await;
    assert!(Connection::open(old).await.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn a_broken_configuration_is_told_and_changes_nothing() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let id = gateway.process().id();
    gateway.write_config("[[routes]]\nname = \"all\"\nservice = \"nobody\"\npaths = [\"/\"]\n");
    let ran = gateway.try_upgrade(&[]).await;
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("nobody") && ran.stderr.contains("gateway.toml"), "{}", ran.stderr);
    serves_as_before(&mut gateway, id, &origin).await;
    gateway.write_config(&plain(&origin));
    gone(gateway.upgrade().await).await;
}

/// A start leaves out what it can't load, which a running node goes on serving.
#[tokio::test]
async fn a_successor_that_would_serve_less_is_refused() {
    let origin = Origin::start();
    let config = chained(&origin, &["marker"]) + "[[plugins]]\nname = \"marker\"\n";
    let mut gateway = Setup::new(config).guests(&["marker"]).start().await;
    let id = gateway.process().id();
    fs::remove_file(gateway.path("plugins/marker.wasm")).expect("it is there");
    has_state(&gateway, "marker", "removed").await;
    let ran = gateway.try_upgrade(&[]).await;
    assert_ne!(ran.code, 0);
    for told in ["route ", "marker", "--allow-degraded", "serves as before"] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    serves_as_before(&mut gateway, id, &origin).await;
    gone(gateway.upgrade_with(&["--allow-degraded"]).await).await;
    gateway.answers("/", "the operator's word counts", |reply| reply.status == 503).await;
    gone(gateway.upgrade().await).await;
}

#[tokio::test]
async fn a_successor_that_fails_is_ended_and_changes_nothing() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let id = gateway.process().id();
    let descriptors = gateway.descriptors();
    for (text, told) in [
        ("kill -SEGV $$", "signal: 11"),
        ("exit 7", "exit status: 7"),
        ("echo nonsense >&0; exit 1", "nonsense"),
        ("echo $$ > hanging; exec sleep 600", "not ready within 300ms"),
    ] {
        let binary = script(&gateway, &text.replace("hanging", &gateway.path("hanging").display().to_string()));
        let ran = gateway.try_upgrade(&["--binary", &binary, "--timeout", "300ms"]).await;
        assert_ne!(ran.code, 0, "{text}");
        assert!(ran.stderr.contains(told) && ran.stderr.contains("serves as before"), "{text}: {}", ran.stderr);
        serves_as_before(&mut gateway, id, &origin).await;
    }
    let hanging = fs::read_to_string(gateway.path("hanging")).expect("it was started");
    let hanging = format!("/proc/{}", hanging.trim());
    until(SOON, "the hanging one is gone", async || !fs::exists(&hanging).unwrap_or(true)).await;
    let missing = gateway.try_upgrade(&["--binary", "/nowhere/tollgate"]).await;
    assert!(missing.code != 0 && missing.stderr.contains("/nowhere/tollgate"), "{missing:?}");
    until(SOON, "no descriptor is left behind", async || gateway.descriptors() <= descriptors + 4).await;
}

#[tokio::test]
async fn a_second_upgrade_has_to_wait_for_the_first() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let id = gateway.process().id();
    let started = gateway.path("started");
    let binary = script(&gateway, &format!("touch {}; exec sleep 600", started.display()));
    let arguments = ["--binary", binary.as_str(), "--timeout", "5s"];
    let (first, second) = tokio::join!(gateway.try_upgrade(&arguments), async {
        until(SOON, "the first one runs", async || started.exists()).await;
        gateway.try_upgrade(&[]).await
    });
    assert!(second.code != 0 && second.stderr.contains("running already"), "{second:?}");
    assert!(first.code != 0 && first.stderr.contains("not ready within 5s"), "{first:?}");
    serves_as_before(&mut gateway, id, &origin).await;
    gone(gateway.upgrade().await).await;
}

#[tokio::test]
async fn without_a_running_node_it_says_so() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let mode = fs::metadata(gateway.path("data/upgrade.sock")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    gateway.terminate().await;
    let ran = gateway.try_upgrade(&[]).await;
    assert!(ran.code != 0 && ran.stderr.contains("is it running"), "{ran:?}");
}

/// Two processes append to the same files for a moment, and fill the same cache.
#[tokio::test]
async fn every_request_is_in_the_access_log_once() {
    let origin = Origin::start();
    let config = chained(&origin, &["file-log"])
        + "[[plugins]]\nname = \"file-log\"\nmodule = \"file-log\"\ngrants = { files = [\"access.log\"] }\n\
           config = { path = \"access.log\" }\n";
    let mut gateway = Setup::new(config).plugins(&["file-log"]).start().await;
    let load = Load::steady(gateway.proxy, 8, get("/"));
    for _ in 0..3 {
        let answered = load.answered();
        until(SOON, "requests go on", async || load.answered() > answered + 200).await;
        gone(gateway.upgrade().await).await;
    }
    let tally = load.stop();
    assert_eq!(tally.failed, 0, "of {}: {:#?}", tally.requests, tally.complaints);
    gateway.terminate().await;
    let log = gateway.data_file("access.log");
    assert_eq!(log.lines().count() as u64, tally.requests);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}
