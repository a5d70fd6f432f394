//! What the status and admin listeners tell.

use tollgate_tests::{Origin, Setup, get, modules, post};

use crate::configs::{KEYED, chained, plain};

#[tokio::test]
async fn the_status_listener_answers_probes() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    for path in ["/status", "/status/ready", "/status/startup"] {
        assert_eq!(get(path).send(gateway.status).await.status, 200, "{path}");
    }
    assert!(gateway.status().await.is_object());
}

#[tokio::test]
async fn memory_is_taken_in_small_pages() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    gateway.get("/").await;
    assert_eq!(gateway.told("THP_enabled").as_deref(), Some("0"));
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    for _ in 0..7 {
        gateway.get("/").await;
    }
    let text = get("/metrics").send(gateway.status).await.text();
    let name = text.lines().find_map(|line| {
        let name = line.split(['{', ' ']).next()?;
        (name.starts_with("tollgate_") && name.contains("requests_total")).then(|| name.to_owned())
    });
    let name = name.unwrap_or_else(|| panic!("no tollgate_…requests_total:\n{text}"));
    assert_eq!(gateway.metric(&name).await, Some(7.0), "{text}");
}

#[tokio::test]
async fn the_admin_listener_shows_modules_and_changes_nothing() {
    let origin = Origin::start();
    let config = chained(&origin, &["marker"]) + "[[plugins]]\nname = \"marker\"\nmodule = \"marker\"\n";
    let gateway = Setup::new(config).module_bytes("marker", &modules::marked(1)).start().await;
    gateway.get("/").await;
    let plugins = get("/plugins").send(gateway.admin).await;
    assert_eq!(plugins.status, 200);
    for told in ["marker", "digest", "generation"] {
        assert!(plugins.text().contains(told), "nothing about {told}: {}", plugins.text());
    }
    let refused = post("/routes", "{}").header("content-type", "application/json").send(gateway.admin).await;
    assert!([404, 405].contains(&refused.status), "the file store is read-only: {refused:?}");
}

/// Promise 8: the plain key of a consumer is nowhere.
#[tokio::test]
async fn secrets_are_in_no_output() {
    let origin = Origin::start();
    let config = chained(&origin, &["key-auth"]) + &KEYED.replace("demo-key", "canary-key-5e1d");
    let gateway = Setup::new(config).plugins(&["key-auth"]).start().await;
    assert_eq!(gateway.send(get("/").header("apikey", "canary-key-5e1d")).await.status, 200);
    let mut outputs = vec![("log".to_owned(), gateway.log())];
    for (listener, path) in [
        (gateway.status, "/status"),
        (gateway.status, "/metrics"),
        (gateway.admin, "/plugins"),
        (gateway.admin, "/consumers"),
        (gateway.admin, "/config"),
    ] {
        outputs.push((path.to_owned(), get(path).send(listener).await.text()));
    }
    for (what, text) in outputs {
        assert!(!text.contains("canary-key"), "{what} holds a secret");
    }
}
