//! A node whose configuration is in a database of its own: written through the admin API, live at once.

use serde_json::json;
use tollgate_tests::{Admin, Gateway, Origin, Setup, get, revision};

async fn node() -> (Gateway, Admin) {
    let gateway = Setup::database("sqlite:gateway.db").plugins(&["key-auth", "rate-limiting"]).start().await;
    let admin = gateway.admin().await;
    (gateway, admin)
}

/// A service and a route to the origin, by the admin API.
async fn routed(admin: &Admin, origin: &Origin) {
    admin.puts("/services/orders", json!({ "url": origin.url() })).await;
    admin.puts("/routes/orders", json!({ "service": "orders", "paths": ["/orders"] })).await;
}

#[tokio::test]
async fn what_is_written_is_served_when_the_answer_comes() {
    let (origin, (gateway, admin)) = (Origin::start(), node().await);
    assert_eq!(gateway.get("/orders/1").await.status, 404);
    routed(&admin, &origin).await;
    assert_eq!(gateway.get("/orders/1").await.status, 200);
    assert_eq!(admin.delete("/routes/orders").await.status, 204);
    assert_eq!(gateway.get("/orders/1").await.status, 404);
}

#[tokio::test]
async fn what_was_deleted_is_never_read_again() {
    let (origin, (_gateway, admin)) = (Origin::start(), node().await);
    routed(&admin, &origin).await;
    for n in 0..tollgate_tests::scaled(100, 1000) {
        let path = format!("/routes/r{n}");
        let made = admin.puts(&path, json!({ "service": "orders", "paths": [format!("/r{n}")] })).await;
        assert_eq!(admin.get(&path).await.status, 200);
        let deleted = admin.delete(&path).await;
        assert!(revision(&deleted) > revision(&made));
        assert_eq!(admin.get(&path).await.status, 404, "{n}");
    }
    tollgate_tests::proof!(4, 2, "DELETE then GET on the same node", "404 each time");
}

#[tokio::test]
async fn keys_are_shown_once_and_work_at_once_until_they_are_deleted() {
    let (origin, (gateway, admin)) = (Origin::start(), node().await);
    routed(&admin, &origin).await;
    admin.puts("/plugins/key-auth", json!({ "grants": { "credentials": true } })).await;
    admin.puts("/chain", json!({ "chain": ["key-auth"] })).await;
    assert_eq!(gateway.get("/orders/1").await.status, 401);
    admin.puts("/consumers/demo", json!({})).await;
    let made = admin.post("/consumers/demo/keys", json!({ "id": "first" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let key = made.json()["key"].as_str().expect("the key").to_owned();
    let call = || get("/orders/1").header("apikey", key.clone());
    let seen = gateway.send(call()).await.seen();
    assert_eq!((seen.header("x-consumer-username"), seen.header("x-credential-identifier")), ("demo", "first"));
    assert!(!admin.get("/consumers/demo/keys").await.text().contains(&key));
    assert_eq!(admin.delete("/consumers/demo/keys/first").await.status, 204);
    assert_eq!(gateway.send(call()).await.status, 401);
}

#[tokio::test]
async fn it_starts_again_with_what_was_written() {
    let (origin, (mut gateway, admin)) = (Origin::start(), node().await);
    routed(&admin, &origin).await;
    gateway.restart().await;
    assert_eq!(gateway.get("/orders/1").await.status, 200);
    let again = gateway.admin().await;
    assert_eq!(again.token, admin.token, "the token is made once");
    assert_eq!(again.get("/routes/orders").await.status, 200);
}

#[tokio::test]
async fn without_a_token_nothing_is_told_or_changed() {
    let (gateway, admin) = node().await;
    for path in ["/", "/routes", "/config", "/consumers", "/nowhere"] {
        let reply = get(path).send(gateway.admin).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{path}");
    }
    let wrong = gateway.admin_with("tgt_0000000000000000000000000000000000000000");
    assert_eq!(wrong.get("/routes").await.status, 401);
    let made = admin.post("/tokens", json!({ "name": "watcher", "role": "read-only" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let reader = gateway.admin_with(made.json()["token"].as_str().expect("the token"));
    assert_eq!(reader.get("/routes").await.status, 200);
    assert_eq!(reader.put("/services/a", json!({ "url": "http://127.0.0.1:1" })).await.status, 403);
}

#[tokio::test]
async fn everything_wrong_is_told_at_once_and_nothing_is_changed() {
    let (_gateway, admin) = node().await;
    let reply = admin.put("/routes/a", json!({ "service": "nowhere", "pahts": ["/"], "paths": ["a"] })).await;
    assert_eq!(reply.status, 400);
    let problems = reply.json()["problems"].as_array().expect("problems").len();
    assert!(problems >= 3, "{}", reply.text());
    assert_eq!(admin.get("/routes/a").await.status, 404);
}

#[tokio::test]
async fn an_upgrade_takes_the_database_along() {
    let (origin, (mut gateway, admin)) = (Origin::start(), node().await);
    routed(&admin, &origin).await;
    // What the predecessor still serves must not keep its successor from writing.
    let mut socket = tollgate_tests::WebSocket::open(gateway.proxy, "/orders/socket", &[]).await.expect("an upgrade");
    let _predecessor = gateway.upgrade().await;
    let admin = gateway.admin_with(&admin.token);
    let made = tollgate_tests::eventually(std::time::Duration::from_secs(30), async || {
        let reply = admin.put("/routes/later", json!({ "service": "orders", "paths": ["/later"] })).await;
        if reply.status == 201 { Ok(reply) } else { Err(format!("{} {}", reply.status, reply.text())) }
    });
    made.await;
    assert_eq!(gateway.get("/later").await.status, 200);
    socket.echo("still here").await.expect("its connection stays");
}

#[tokio::test]
async fn a_second_gateway_on_the_same_file_is_refused() {
    let (gateway, _admin) = node().await;
    let url = format!("sqlite:{}", gateway.path("gateway.db").display());
    let key = std::fs::read_to_string(gateway.path("data/cluster.key")).expect("it was made");
    let ran = tokio::task::spawn_blocking(move || {
        Setup::database(&url).variable("TOLLGATE_CLUSTER_KEY", &key).run(|command| command)
    });
    let ran = ran.await.expect("it does not panic");
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("in use by another gateway"), "{}", ran.stderr);
    assert_eq!(gateway.ready().await, Some(200));
}

/// Modules of the cluster: uploaded once, described, served without a file, swapped by another upload.
#[tokio::test]
async fn an_uploaded_module_serves_and_is_swapped_by_the_next() {
    let (origin, gateway) = (Origin::start(), Setup::database("sqlite:gateway.db").start().await);
    let admin = gateway.admin().await;
    routed(&admin, &origin).await;
    let upload = async |bytes: Vec<u8>| {
        let call = admin.call(http::Method::PUT, "/modules/marker", None).header("content-type", "application/wasm");
        call.body(bytes).send(admin.address).await
    };
    assert_eq!(upload(b"no module".to_vec()).await.status, 400);
    let made = upload(tollgate_tests::modules::marked(1)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    admin.puts("/plugins/marker", json!({})).await;
    admin.puts("/chain", json!({ "chain": ["marker"] })).await;
    let marked = |n: u32| {
        let marker = tollgate_tests::modules::marker(n);
        move |reply: &tollgate_tests::Reply| reply.header("x-marker") == marker
    };
    gateway.answers("/orders/1", "the uploaded module serves", marked(1)).await;
    assert_eq!(upload(tollgate_tests::modules::marked(2)).await.status, 200);
    gateway.answers("/orders/1", "the next one serves", marked(2)).await;
    let refused = admin.put("/plugins/marker", json!({ "config": { "nonsense": 1 } })).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
}
