//! HTTP/2 from clients: real ones, and by hand where no real one would.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use rustix::process::Signal;
use tokio_tungstenite::tungstenite::Message;
use tollgate_tests::{Call, Frame, Frames, Http2, Origin, Setup, curl, get, post, run, until};

use crate::configs::plain;

#[tokio::test]
async fn curl_speaks_it_by_prior_knowledge() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let url = format!("http://{}/a?b", gateway.proxy);
    let told = "x-origin: header=keep-alive:timeout=5 header=x-kept:1";
    let ran = curl(&["--http2-prior-knowledge", "--include", "-H", told, "--data", "hello", &url]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let (head, _) = ran.stdout.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/2 200"), "{head}");
    for field in ["connection:", "keep-alive:", "transfer-encoding:"] {
        assert!(!head.contains(field), "{head}");
    }
    assert!(head.contains("x-kept: 1"), "{head}");
    let seen = &origin.seen()[0];
    assert_eq!((seen.target.as_str(), seen.body_length), ("/a?b", 5));
    assert_eq!((seen.header("via"), seen.header("x-forwarded-proto")), ("2.0 tollgate", "http"));
    assert_eq!(seen.header("x-forwarded-host"), gateway.proxy.to_string());
    let metrics = get("/metrics").send(gateway.status).await.text();
    assert!(metrics.contains("tollgate_requests_by_version_total{version=\"2\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn crumbs_of_a_cookie_are_one_for_the_upstream() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut client = Http2::open(gateway.proxy).await.expect("a connection");
    let call = get("/").header("cookie", "a=1").header("cookie", "b=2").header("cookie", "c=3");
    assert_eq!(client.send(call).await.expect("an answer").seen().header("cookie"), "a=1; b=2; c=3");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut client = Http2::open(gateway.proxy).await.expect("a connection");
    let trailers =
        http::HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("42"))]);
    let call = post("/", "abc").header("te", "trailers").header("trailer", "x-sum").origin("chunks=2 trailers");
    let reply = client.send_with_trailers(call, trailers).await.expect("an answer");
    assert_eq!(reply.trailers.expect("trailers")["x-trailer"], "from-origin");
    assert_eq!(origin.seen()[0].trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

#[tokio::test]
async fn many_streams_of_a_connection_are_served_at_once() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let client = Http2::open(gateway.proxy).await.expect("a connection");
    let started = Instant::now();
    let calls = (0..100).map(|_| {
        let mut client = client.clone();
        async move { client.send(get("/").origin("delay=500")).await.expect("an answer").status }
    });
    assert_eq!(join_all(calls).await, [200; 100]);
    assert!(started.elapsed() < Duration::from_secs(20), "one after the other they would take 50 s");
    let url = format!("http://{}/", gateway.proxy);
    let ran = run("h2load", &["-n", "2000", "-c", "4", "-m", "32", &url]).await;
    assert!(ran.stdout.contains("2000 succeeded, 0 failed"), "{ran:?}");
}

#[tokio::test]
async fn grpc_clients_are_refused_in_their_own_way() {
    let origin = Origin::start();
    let text = plain(&origin).replace(r#"paths = ["/"]"#, r#"paths = ["/only", "/gone"]"#);
    let gateway = Setup::new(text.replace(&origin.url(), "http://127.0.0.1:1")).start().await;
    let mut client = Http2::open(gateway.proxy).await.expect("a connection");
    for (path, code) in [("/nowhere", "12"), ("/gone", "14")] {
        let call = post(path, "").header("content-type", "application/grpc+proto");
        let reply = client.send(call).await.expect("an answer");
        assert_eq!((reply.status, reply.header("grpc-status")), (200, code), "{reply:?}");
        assert_eq!(reply.header("content-type"), "application/grpc+proto");
        assert!(!reply.header("grpc-message").is_empty() && reply.body.is_empty(), "{reply:?}");
    }
}

#[tokio::test]
async fn websockets_pass_through_a_stream() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut client = Http2::open(gateway.proxy).await.expect("a connection");
    let mut socket = client.websocket(get("/socket?a=b")).await.expect("an upgrade");
    for size in [1, 1000, 1_000_000] {
        let text = "x".repeat(size);
        socket.send(Message::text(text.clone())).await.expect("it takes a message");
        let back = socket.next().await.expect("an answer").expect("a message");
        assert!(back.to_text().is_ok_and(|back| back == text), "{size} bytes come back");
    }
    assert_eq!(client.send(get("/")).await.expect("an answer beside it").status, 200);
    socket.close(None).await.expect("a goodbye");
    let seen = &origin.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/socket?a=b"));
    assert_eq!(seen.header("upgrade"), "websocket");

    assert_eq!(client.websocket(get("/").origin("status=404")).await.err(), Some(404), "a no is passed on");
    let forged = get("/").origin("header=sec-websocket-accept:d3Jvbmc=");
    assert_eq!(client.websocket(forged).await.err(), Some(502), "an answer to another question");
    assert_eq!(client.websocket(get("/").origin("status=200")).await.err(), Some(502), "no upgrade, no tunnel");
}

#[tokio::test]
async fn a_plain_connect_is_refused() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let mut frames = Frames::open(gateway.proxy, &[]).await;
    frames.request(1, &[(":method", "CONNECT"), (":authority", "elsewhere:443")]).await;
    let answer = frames.next_of(&[Frame::HEADERS]).await.expect("an answer");
    // :status is no entry of the static table, 405 in Huffman code.
    assert_eq!(answer.status(), None, "{answer:?}");
    until(Duration::from_secs(5), "it is counted as such", async || {
        let metrics = get("/metrics").send(gateway.status).await.text();
        metrics.contains("tollgate_errors_total{kind=\"method_not_allowed\"} 1\n")
    })
    .await;
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn idle_connections_are_told_goodbye() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).proxy("idle_timeout = \"1s\"").start().await;
    let mut frames = Frames::open(gateway.proxy, &[]).await;
    let goodbye = frames.next_of(&[Frame::GOAWAY]).await.expect("GOAWAY before the end");
    assert_eq!(goodbye.error_code(), 0);
    assert_eq!(frames.next_of(&[]).await, None, "closed");
}

/// A client that takes nothing of one response loses that stream, and no other.
#[tokio::test]
async fn a_stream_that_stalls_is_reset() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).proxy("idle_timeout = \"1s\"").start().await;
    let mut frames = Frames::open(gateway.proxy, &[(4, 0)]).await;
    let authority = gateway.proxy.to_string();
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", authority.as_str())];
    frames.request(1, &fields).await;
    assert_eq!(frames.next_of(&[Frame::HEADERS]).await.expect("an answer").status(), Some(200));
    let reset = frames.next_of(&[Frame::RST_STREAM, Frame::GOAWAY]).await.expect("the end of the stream");
    assert_eq!((reset.kind, reset.stream), (Frame::RST_STREAM, 1));
}

#[tokio::test]
async fn a_drain_under_load_loses_nothing() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let proxy = gateway.proxy;
    let drivers: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = Http2::open(proxy).await.expect("a connection");
                let (mut answered, mut lost) = (0, Vec::new());
                while !client.is_closed() {
                    match client.try_send(get("/").origin("delay=5")).await {
                        Ok(reply) if reply.status == 200 => answered += 1,
                        Ok(reply) => lost.push(format!("{reply:?}")),
                        Err(unanswered) if unanswered.untouched => break,
                        Err(unanswered) => lost.push(unanswered.detail),
                    }
                }
                (answered, lost)
            })
        })
        .collect();
    until(Duration::from_secs(20), "the load is under way", async || origin.requests() > 400).await;
    gateway.process().signal(Signal::TERM);
    for driver in drivers {
        let (answered, lost) = driver.await.expect("no panic");
        assert!(answered > 0 && lost.is_empty(), "{answered} answered, lost: {lost:?}");
    }
    assert!(gateway.process().ended(Duration::from_secs(20)).await.success());
}

#[tokio::test]
async fn streams_under_way_are_finished_by_a_drain() {
    let origin = Origin::start();
    let mut gateway = Setup::new(plain(&origin)).start().await;
    let client = Http2::open(gateway.proxy).await.expect("a connection");
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.send(get("/").origin("delay=1500 size=50000 chunks=10 gap=50")).await })
        })
        .collect();
    until(Duration::from_secs(20), "the requests are at the upstream", async || origin.requests() == 20).await;
    gateway.process().signal(Signal::TERM);
    for answer in join_all(slow).await {
        let reply = answer.expect("no panic").expect("an accepted request is answered");
        assert_eq!((reply.status, reply.body.len()), (200, 50_000));
    }
    assert!(gateway.process().ended(Duration::from_secs(20)).await.success());
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).proxy("head_size = \"8KiB\"\nbody_size = \"1KiB\"").start().await;
    let mut client = Http2::open(gateway.proxy).await.expect("a connection");
    assert_eq!(client.send(get("/").header("x-large", "x".repeat(9000))).await.expect("an answer").status, 431);
    assert_eq!(client.send(post("/", vec![b'x'; 2000])).await.expect("an answer").status, 413);
    let fields = (0..101).fold(get("/"), |call: Call, n| call.header(&format!("x-{n}"), "1"));
    assert_eq!(client.send(fields).await.expect("an answer").status, 431);
    assert_eq!(client.send(get("/")).await.expect("the connection is kept").status, 200);
}
