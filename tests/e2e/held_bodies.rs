//! Bodies that are held back for plugins: all of them together are bounded.

use std::time::Duration;

use tollgate_tests::{Origin, Raw, Setup, post, until};

use crate::configs::{chained, service};

#[tokio::test]
async fn too_many_held_bodies_are_refused_and_nothing_else_is() {
    let origin = Origin::start();
    let config = chained(&origin, &["hostile"])
        + &service("free", &origin.url(), "")
        + "[[plugins]]\nname = \"hostile\"\n\
           config = { request_body = \"sleep\", milliseconds = 1, hold = 1000000 }\n";
    let setup = Setup::new(config).guests(&["hostile"]).proxy("held_bodies = \"100KB\"");
    let gateway = setup.start().await;
    let held = async |what: &str, wanted: fn(f64) -> bool| {
        let held = async || gateway.metric("tollgate_held_bodies_bytes").await.is_some_and(wanted);
        until(PATIENCE, what, held).await;
    };
    // One that is slow holds most of the room.
    let mut slow = Raw::open(gateway.proxy).await;
    slow.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n").await;
    slow.write(vec![b'x'; 80_000]).await;
    held("80,000 bytes are held", |bytes| bytes == 80_000.0).await;

    let refused = gateway.send(post("/", vec![b'x'; 50_000])).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "{refused:?}");
    assert_eq!(gateway.metric("tollgate_errors_total{kind=\"bodies_held\"}").await, Some(1.0));
    assert_eq!(gateway.send(post("/", vec![b'x'; 10_000])).await.status, 200, "what fits is served");
    assert_eq!(gateway.send(post("/free", vec![b'x'; 500_000])).await.seen().body_length, 500_000);

    slow.write(vec![b'x'; 10_000]).await;
    assert!(slow.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    held("all room is back", |bytes| bytes == 0.0).await;
    assert_eq!(gateway.send(post("/", vec![b'x'; 50_000])).await.seen().body_length, 50_000);
}

const PATIENCE: Duration = Duration::from_secs(30);
