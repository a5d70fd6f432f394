//! Modules come, change, break and go while the gateway serves.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tollgate_tests::{Gateway, Origin, Setup, modules, until};

use crate::configs::{chained, plain};
use crate::modules::{has_state, module};

const MARKER: &str = "[[plugins]]\nname = \"marker\"\nmodule = \"marker\"\n";

async fn start(origin: &Origin) -> Gateway {
    let setup = Setup::new(chained(origin, &["marker"]) + MARKER);
    setup.module_bytes("marker", &modules::marked(1)).start().await
}

async fn answers_with(gateway: &Gateway, generation: u32) {
    let wanted = modules::marker(generation);
    gateway.answers("/", &wanted, |reply| reply.status == 200 && reply.header("x-marker") == wanted).await;
}

#[tokio::test]
async fn a_saved_module_is_live() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    answers_with(&gateway, 1).await;
    gateway.write_module("marker", &modules::marked(2));
    answers_with(&gateway, 2).await;
    gateway.write_module("marker", &modules::marked(1));
    answers_with(&gateway, 1).await;
}

#[tokio::test]
async fn a_broken_module_leaves_the_old_one_serving_and_says_why() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    let good = modules::marked(2);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].fill(0xff);
    for (n, broken) in [&b"not wasm at all"[..], &good[..good.len() / 2], &flipped, b""].into_iter().enumerate() {
        gateway.write_module("marker", broken);
        has_state(&gateway, "marker", "stale").await;
        let error = module(&gateway, "marker").await["last_error"].to_string();
        assert!(error.len() > 10, "no reason is given: {error}");
        assert_eq!(gateway.get("/").await.status, 200);
        gateway.write_module("marker", &modules::marked(10 + n as u32));
        answers_with(&gateway, 10 + n as u32).await;
    }
    gateway.write_module("marker", &good);
    answers_with(&gateway, 2).await;
}

#[tokio::test]
async fn every_broken_build_is_told_of_and_a_file_that_names_no_module_too() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    for (times, broken) in ["not wasm at all", "nor is this"].into_iter().enumerate() {
        gateway.write_module("marker", broken.as_bytes());
        until(Duration::from_secs(20), "the log tells of it", async || {
            gateway.log().matches("module not loaded: it is not WebAssembly").count() == times + 1
        })
        .await;
    }
    has_state(&gateway, "marker", "stale").await;
    gateway.write_module("Marker", &modules::marked(2));
    gateway.says("rename its file").await;
    answers_with(&gateway, 1).await;
}

#[tokio::test]
async fn a_removed_module_goes_on_serving() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    answers_with(&gateway, 1).await;
    std::fs::remove_file(gateway.path("plugins/marker.wasm")).expect("it is there");
    has_state(&gateway, "marker", "removed").await;
    answers_with(&gateway, 1).await;
    gateway.write_module("marker", &modules::marked(3));
    answers_with(&gateway, 3).await;
}

/// Only the route that needs it suffers, fails closed whatever its policy, and heals by itself.
#[tokio::test]
async fn a_missing_module_degrades_its_route_only() {
    degrades_its_route_only("").await;
    degrades_its_route_only("on_error = \"open\"\n").await;
}

async fn degrades_its_route_only(policy: &str) {
    let origin = Origin::start();
    let config = plain(&origin)
        + "[[routes]]\nname = \"needs\"\nservice = \"origin\"\npaths = [\"/needs\"]\nchain = [\"marker\"]\n"
        + MARKER
        + policy;
    let gateway = Setup::new(config).start().await;
    let degraded = gateway.get("/needs").await;
    assert_eq!(degraded.status, 503, "{degraded:?}");
    assert_eq!(gateway.get("/other").await.status, 200);
    assert!(gateway.status().await.to_string().contains("marker"), "{}", gateway.status().await);
    gateway.write_module("marker", b"not wasm at all");
    until(Duration::from_secs(20), "/status says that the module is broken", async || {
        gateway.status().await.to_string().contains("is not WebAssembly")
    })
    .await;
    assert_eq!(gateway.get("/needs").await.status, 503, "broken is no better than missing");
    gateway.write_module("marker", &modules::marked(1));
    gateway.answers("/needs", "the module came", |reply| reply.header("x-marker") == modules::marker(1)).await;
}

/// Settings that the new build refuses must not take the old one down.
#[tokio::test]
async fn a_module_that_refuses_its_settings_is_not_swapped_in() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    gateway.write_module("marker", &std::fs::read(modules::plugin("rate-limiting")).expect("it is built"));
    has_state(&gateway, "marker", "stale").await;
    answers_with(&gateway, 1).await;
}

/// Not even by a restart: the routes that need it fail closed, the others serve.
#[tokio::test]
async fn a_build_that_refuses_its_settings_degrades_its_routes_after_a_restart() {
    let origin = Origin::start();
    let config = plain(&origin)
        + "[[routes]]\nname = \"needs\"\nservice = \"origin\"\npaths = [\"/needs\"]\nchain = [\"marker\"]\n"
        + MARKER;
    let mut gateway = Setup::new(config).module_bytes("marker", &modules::marked(1)).start().await;
    gateway.write_module("marker", &std::fs::read(modules::plugin("rate-limiting")).expect("it is built"));
    has_state(&gateway, "marker", "stale").await;
    gateway.says("after a restart its routes would be degraded").await;
    assert_eq!(gateway.get("/needs").await.header("x-marker"), modules::marker(1));

    gateway.restart().await;
    has_state(&gateway, "marker", "broken").await;
    assert_eq!(gateway.get("/needs").await.status, 503);
    assert_eq!(gateway.get("/other").await.status, 200);
    assert!(gateway.status().await["degraded_places"].to_string().contains("does not accept"));
    gateway.write_module("marker", &modules::marked(2));
    gateway.answers("/needs", "a build came", |reply| reply.header("x-marker") == modules::marker(2)).await;
}

/// A typo in a new configuration takes nothing down.
#[tokio::test]
async fn a_change_to_a_module_that_is_not_there_is_refused() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    answers_with(&gateway, 1).await;
    gateway
        .write_config(&(chained(&origin, &["marker"]) + &MARKER.replace("module = \"marker\"", "module = \"makrer\"")));
    until(Duration::from_secs(20), "/status says what is wrong", async || {
        gateway.status().await["configuration"]["last_error"].to_string().contains("did you mean `marker`")
    })
    .await;
    answers_with(&gateway, 1).await;
    gateway.write_module("makrer", &modules::marked(7));
    answers_with(&gateway, 7).await;
}

#[tokio::test]
async fn requests_to_a_degraded_route_are_logged() {
    let origin = Origin::start();
    let config = "chain = [\"access-log\"]\n".to_owned()
        + &chained(&origin, &["marker"])
        + MARKER
        + "[[plugins]]\nname = \"access-log\"\nmodule = \"file-log\"\nconfig = { path = \"access.log\" }\n\
           grants = { files = [\"access.log\"] }\n";
    let gateway = Setup::new(config).plugins(&["file-log"]).start().await;
    assert_eq!(gateway.get("/degraded").await.status, 503);
    until(Duration::from_secs(10), "the request is in the access log", async || {
        gateway.data_file("access.log").contains("/degraded")
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_of_a_module_that_never_worked() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    gateway.write_module("ghost", b"not wasm at all");
    until(Duration::from_secs(20), "it is broken", async || {
        gateway.metric("tollgate_modules{state=\"broken\"}").await == Some(1.0)
    })
    .await;
    std::fs::remove_file(gateway.path("plugins/ghost.wasm")).expect("it is there");
    until(Duration::from_secs(20), "it is forgotten", async || {
        gateway.metric("tollgate_modules{state=\"broken\"}").await == Some(0.0)
    })
    .await;
    assert!(!gateway.log().contains("goes on serving"), "there was no build: {}", gateway.log());
}

/// One that is copied slowly, or written to for ever, holds up neither the others nor the configuration.
#[tokio::test]
async fn a_module_that_is_being_written_holds_nothing_up() {
    use std::os::unix::fs::FileExt;

    let origin = Origin::start();
    let gateway = start(&origin).await;
    let busy = std::fs::File::create(gateway.path("plugins/busy.wasm")).expect("our folder");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
            busy.write_all_at(b"not yet", 0).expect("our file");
        }
    });
    for value in ["first", "second"] {
        gateway
            .write_config(&(chained(&origin, &["marker"]) + MARKER + &format!("config = {{ value = \"{value}\" }}\n")));
        gateway.answers("/", value, |reply| reply.header("x-settings") == value).await;
    }
    gateway.write_module("marker", &modules::marked(2));
    answers_with(&gateway, 2).await;
    drop(stop);
    writer.join().expect("it only writes");
}

#[tokio::test]
async fn changed_settings_are_live() {
    let origin = Origin::start();
    let gateway = start(&origin).await;
    for value in ["first", "second"] {
        gateway
            .write_config(&(chained(&origin, &["marker"]) + MARKER + &format!("config = {{ value = \"{value}\" }}\n")));
        gateway.answers("/", value, |reply| reply.header("x-settings") == value).await;
    }
}

#[tokio::test]
async fn a_restart_serves_at_once() {
    let origin = Origin::start();
    let mut gateway = start(&origin).await;
    answers_with(&gateway, 1).await;
    gateway.restart().await;
    let reply = gateway.get("/").await;
    assert_eq!((reply.status, reply.header("x-marker")), (200, modules::marker(1).as_str()));
}
