//! Bodies stream both ways, with their trailers; upgrades pass through.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tollgate_tests::{Connection, Http2, Origin, Raw, Setup, WebSocket, curl, eventually, get, post, until};

use crate::configs::{chained, plain};

#[tokio::test]
async fn pieces_come_back_before_the_request_ends() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut raw = Raw::open(gateway.proxy).await;
    raw.write("POST / HTTP/1.1\r\nHost: a\r\nx-origin: echo\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for word in ["first", "second", "third"] {
        raw.write(format!("{:x}\r\n{word}\r\n", word.len())).await;
        raw.read_until(word).await;
    }
    raw.write("0\r\n\r\n").await;
    raw.read_until("0\r\n\r\n").await;
}

#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut raw = Raw::open(gateway.proxy).await;
    // Were pieces held back, the first would come with the last, after a quarter of an hour.
    raw.write("GET / HTTP/1.1\r\nHost: a\r\nx-origin: chunks=1000 gap=1000\r\n\r\n").await;
    raw.read_until("line 0").await;
    raw.read_until("line 1").await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let reply = gateway.send(get("/").header("te", "trailers").origin("chunks=2 trailers")).await;
    assert_eq!(reply.trailers.expect("trailers")["x-trailer"], "from-origin");

    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\nConnection: close\r\n\r\n\
        3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n";
    let text = Raw::exchange(gateway.proxy, request).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    assert_eq!(origin.seen().last().expect("a request").trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

/// HTTP/2 has trailers behind a body of a stated length, HTTP/1.1 only behind a chunked one.
#[tokio::test]
async fn announced_trailers_pass_behind_a_stated_length() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut client = Http2::open(gateway.proxy).await.expect("a connection");
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("42"));
    let call = post("/", "abc").header("content-length", "3").header("trailer", "x-sum");
    assert_eq!(client.send_with_trailers(call, trailers).await.expect("an answer").status, 200);
    let seen = origin.seen().pop().expect("a request");
    assert_eq!((seen.body_length, seen.trailers), (3, vec![("x-sum".to_owned(), "42".to_owned())]));
}

#[tokio::test]
async fn a_body_of_unknown_length_arrives_whatever_the_method() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
        3\r\nabc\r\n0\r\n\r\n";
    let text = Raw::exchange(gateway.proxy, request).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    assert_eq!(origin.seen().last().expect("a request").body_length, 3);
}

/// What is left of a body must not be taken for the next request, nor cost the client its connection.
#[tokio::test]
async fn a_connection_outlives_a_small_body_that_nobody_read() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin).replace(r#"paths = ["/"]"#, r#"paths = ["/only"]"#)).start().await;
    let mut kept = Connection::open(gateway.proxy).await.expect("a connection");
    assert_eq!(kept.send(post("/nowhere", vec![b'x'; 90_000])).await.expect("an answer").status, 404);
    assert_eq!(kept.send(get("/only")).await.expect("the connection is kept").status, 200);
}

#[tokio::test]
async fn large_bodies_pass_whole_without_being_held() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).workers(1).start().await;
    gateway.get("/").await;
    let before = gateway.memory().own;

    let sent: Vec<u8> = (0..SIZE).map(|n| (n * 31 / 7) as u8).collect();
    let digest: String = Sha256::digest(&sent).iter().map(|byte| format!("{byte:02x}")).collect();
    let seen = gateway.send(post("/", sent)).await.seen();
    assert_eq!((seen.body_length, seen.body_sha256), (SIZE as u64, digest));
    let received = gateway.send(get("/").origin(&format!("size={SIZE}"))).await;
    assert_eq!(received.body.len(), SIZE);
    let chunked = gateway.send(get("/").origin(&format!("size={SIZE} chunks=1000"))).await;
    assert_eq!(chunked.body.len(), SIZE);

    let grown = gateway.memory().own.saturating_sub(before);
    // Of one that is held all of it would stay; the allocator keeps some MiB of what passes.
    assert!(grown < (SIZE / 2) as u64, "{} MiB more for bodies of {} MiB", grown >> 20, SIZE >> 20);
}

/// A client that does not read must not make the gateway read on from the upstream.
#[tokio::test]
async fn a_slow_reader_holds_its_upstream_back() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).workers(1).start().await;
    gateway.get("/").await;
    let before = gateway.memory().own;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::open(gateway.proxy).await;
        raw.write(format!("GET / HTTP/1.1\r\nHost: a\r\nx-origin: size={SIZE}\r\n\r\n")).await;
        raw.read_until("\r\n\r\n").await;
        readers.push(raw);
    }
    // The others go on.
    for _ in 0..50 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    let grown = gateway.memory().own.saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB for 20 readers that do not read", grown >> 20);
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let call = tollgate_tests::Call::new(http::Method::HEAD, "/").origin("size=1000");
    let head = gateway.send(call).await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "1000"));
    for status in [204, 304] {
        let reply = gateway.send(get("/").origin(&format!("status={status}"))).await;
        assert_eq!((reply.status, reply.body.len()), (status, 0));
    }
}

#[tokio::test]
async fn expect_continue_and_old_clients_are_served() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let url = format!("http://{}/", gateway.proxy);
    let ran = curl(&["--verbose", "-H", "Expect: 100-continue", "--data", "hello", &url]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("\"body_length\":5"), "{ran:?}");
    let ran = curl(&["--http1.0", "-H", "x-origin: size=5 chunks=2", &url]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "xxxxx"), "{ran:?}");
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_upstream() {
    let origin = Origin::start();
    leaving_frees(Setup::new(plain(&origin))).await;
}

#[tokio::test]
async fn a_client_that_leaves_a_hooked_body_frees_its_upstream() {
    let origin = Origin::start();
    let hooked = "[[plugins]]\nname = \"hostile\"\nconfig = { response_body = \"sleep\", milliseconds = 1 }\n";
    leaving_frees(Setup::new(chained(&origin, &["hostile"]) + hooked).guests(&["hostile"])).await;
}

async fn leaving_frees(setup: Setup) {
    let gateway = setup.workers(1).start().await;
    gateway.get("/").await;
    let descriptors = gateway.descriptors();
    let mut left = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::open(gateway.proxy).await;
        raw.write("GET / HTTP/1.1\r\nHost: a\r\nx-origin: chunks=100000 gap=50\r\n\r\n").await;
        raw.read_until("line 0").await;
        left.push(raw);
    }
    assert!(gateway.descriptors() >= descriptors + 30, "each holds two");
    drop(left);
    let what = "descriptors of 20 clients that left are closed";
    until(Duration::from_secs(20), what, async || gateway.descriptors() <= descriptors + 2).await;
}

/// hyper stops reading a body at its trailers: that is its end, not a client that left.
#[tokio::test]
async fn a_response_with_trailers_is_recorded_once_and_as_complete() {
    let origin = Origin::start();
    let log =
        "[[plugins]]\nname = \"file-log\"\ngrants = { files = [\"access.log\"] }\nconfig = { path = \"access.log\" }\n";
    let gateway = Setup::new(chained(&origin, &["file-log"]) + log).plugins(&["file-log"]).start().await;
    for target in ["/trailers", "/plain"] {
        let reply = gateway.send(get(target).header("te", "trailers").origin("chunks=2 trailers")).await;
        assert_eq!(reply.text(), "line 0\nline 1\n");
    }
    let lines = eventually(Duration::from_secs(10), async || {
        let log = gateway.data_file("access.log");
        if log.contains("/plain") { Ok(log) } else { Err(format!("the log has: {log}")) }
    })
    .await;
    let records: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(records.len(), 2, "{lines}");
    for record in records {
        assert_eq!((&record["aborted"], &record["response_bytes"]), (&false.into(), &14.into()), "{lines}");
    }
}

#[tokio::test]
async fn websockets_pass_through() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut socket = WebSocket::open(gateway.proxy, "/socket?a=b", &[]).await.expect("an upgrade");
    for size in [1, 1000, 1_000_000] {
        socket.echo(&"x".repeat(size)).await.expect("an echo");
    }
    socket.close().await.expect("a goodbye");
    let seen = &origin.seen()[0];
    assert_eq!((seen.target.as_str(), seen.header("upgrade")), ("/socket?a=b", "websocket"));
    assert_eq!(seen.header("connection").to_ascii_lowercase(), "upgrade");
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: unknown\r\n\r\n";
    let text = Raw::exchange(gateway.proxy, request).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

const SIZE: usize = 48 << 20;
