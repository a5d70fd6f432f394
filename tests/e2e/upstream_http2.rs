//! HTTP/2 to upstreams: one connection for many requests, and what happens when it goes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use tokio::net::TcpListener;
use tollgate_tests::{Authority, Load, Nginx, Origin, Raw, Setup, Wire, curl, get, post};

use crate::configs::service;

const HTTP2: &str = "protocol = \"http2\"";

#[tokio::test]
async fn requests_have_the_form_of_http2() {
    let origin = Origin::speaking(Wire::http2());
    let gateway = Setup::new(service("origin", &origin.url(), HTTP2)).start().await;
    let seen = gateway.send(post("/origin/a?b=c", "hello").header("connection", "x-own").header("x-own", "1")).await;
    let seen = seen.seen();
    assert_eq!(seen.version, "HTTP/2.0");
    assert_eq!(seen.target, format!("http://{}/origin/a?b=c", origin.address), "scheme, authority and path");
    assert_eq!((seen.body_length, seen.header("content-length")), (5, "5"));
    for name in ["host", "connection", "transfer-encoding", "x-own", "keep-alive"] {
        assert!(!seen.has(name), "{name} in {seen:?}");
    }
    let reply = gateway.get("/origin").await;
    assert_eq!(reply.header("via"), "2.0 tollgate");
}

#[tokio::test]
async fn the_authority_is_what_host_would_be() {
    let origin = Origin::speaking(Wire::http2());
    let config = service("origin", &origin.url(), HTTP2).replace("paths =", "preserve_host = true\npaths =");
    let gateway = Setup::new(config).start().await;
    let seen = gateway.send(get("/origin").header("host", "shop.example:81")).await.seen();
    assert_eq!(seen.target, "http://shop.example:81/origin");
}

#[tokio::test]
async fn tls_negotiates_the_protocol() {
    let authority = Authority::new("tests");
    let identity = authority.issue("localhost");
    let echo = "location / { return 200 $server_protocol; }";
    let both = Nginx::tls(&identity, "http2", echo, &[]).await;
    let old = Nginx::tls(&identity, "", echo, &[]).await;
    let tls = "tls = { ca_file = \"ca.pem\" }";
    let url = |nginx: &Nginx| format!("https://localhost:{}", nginx.address.port());
    let config = [
        service("auto", &url(&both), tls),
        service("http1", &url(&both), &format!("protocol = \"http1\"\n{tls}")),
        service("http2", &url(&both), &format!("{HTTP2}\n{tls}")),
        service("old", &url(&old), tls),
        service("insisting", &url(&old), &format!("{HTTP2}\n{tls}")),
    ]
    .concat();
    let gateway = Setup::new(config).file("ca.pem", &authority.pem).start().await;
    for (target, protocol) in [
        ("/auto", "HTTP/2.0"),
        ("/http1", "HTTP/1.1"),
        ("/http2", "HTTP/2.0"),
        ("/old", "HTTP/1.1"),
        ("/old", "HTTP/1.1"),
    ] {
        let reply = gateway.get(target).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, protocol), "{target}");
    }
    assert_eq!(gateway.get("/insisting").await.status, 502);
}

#[tokio::test]
async fn one_connection_carries_all_until_the_target_takes_no_more() {
    for (streams, connections) in [(None, 1..=1), (Some(4), 5..=8)] {
        let origin = Origin::speaking(Wire { streams, ..Wire::http2() });
        let gateway = Setup::new(service("origin", &origin.url(), HTTP2)).workers(1).start().await;
        let calls = (0..20).map(|_| gateway.send(get("/origin").origin("delay=300")));
        let replies = futures_util::future::join_all(calls).await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
        assert!(connections.contains(&origin.connections()), "{streams:?}: {} connections", origin.connections());
    }
}

/// Requests that meet the GOAWAY are sent again on the next connection, with their bodies.
#[tokio::test]
async fn an_upstream_that_ends_its_connections_loses_no_request() {
    let authority = Authority::new("tests");
    let origin = Origin::speaking(Wire { requests: Some(20), ..Wire::http2() });
    let lines = "keepalive_requests 20;\nlocation / { return 200 whole; }";
    let nginx = Nginx::tls(&authority.issue("localhost"), "http2", lines, &[]).await;
    let url = format!("https://localhost:{}", nginx.address.port());
    let config = service("origin", &origin.url(), HTTP2) + &service("nginx", &url, "tls = { ca_file = \"ca.pem\" }");
    let gateway = Setup::new(config).file("ca.pem", &authority.pem).start().await;
    for target in ["/origin", "/nginx"] {
        let call = |n: u64| if n.is_multiple_of(2) { get(target) } else { post(target, vec![b'x'; 3000]) };
        let check = |reply: &tollgate_tests::Reply| match reply.status {
            200 => Ok(()),
            status => Err(format!("{status}: {}", reply.text())),
        };
        let load = Load::start(gateway.proxy, 16, Duration::ZERO, call, check);
        tollgate_tests::until(Duration::from_secs(60), "3,000 answers", async || load.answered() >= 3000).await;
        load.stop().assert_clean();
    }
    assert!(origin.connections() > 20, "{} connections", origin.connections());
}

#[tokio::test]
async fn a_response_that_is_reset_never_ends_cleanly() {
    let resets = [None, Some(h2::Reason::NO_ERROR), Some(h2::Reason::CANCEL), Some(h2::Reason::INTERNAL_ERROR)];
    for reason in resets {
        let address = resetting(reason).await;
        let gateway = Setup::new(service("origin", &format!("http://{address}"), HTTP2)).start().await;
        let url = format!("http://{}/origin", gateway.proxy);
        let expected = if reason.is_some() { (18, 92) } else { (0, 0) };
        let ran = curl(&["--output", "/dev/null", &url]).await;
        assert_eq!(ran.code, expected.0, "{reason:?}: {ran:?}");
        let ran = curl(&["--http2-prior-knowledge", "--output", "/dev/null", &url]).await;
        assert_eq!(ran.code, expected.1, "{reason:?}: {ran:?}");
    }
}

/// Whoever waited for the connection was told; who comes later finds a target that is well.
#[tokio::test]
async fn a_failed_connection_is_nothing_to_later_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let settings = format!("{HTTP2}\ntimeouts = {{ connect = \"300ms\" }}");
    let gateway = Setup::new(service("origin", &url, &settings)).workers(1).start().await;
    assert_eq!(gateway.get("/origin").await.status, 504, "it says nothing");
    let _silent = listener.accept().await.expect("a connection");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_response(Response::new(()), true).expect("open");
                }
            });
        }
    });
    assert_eq!(gateway.get("/origin").await.status, 200);
}

/// Answers with a piece of a body, and then its end or a reset.
async fn resetting(reason: Option<h2::Reason>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut body = respond.send_response(Response::new(()), false).expect("open");
                    body.send_data(Bytes::from_static(b"a piece"), reason.is_none()).expect("open");
                    let Some(reason) = reason else { continue };
                    tokio::spawn(async move {
                        // tidy: sleep because h2 drops what it has not flushed
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        body.send_reset(reason);
                    });
                }
            });
        }
    });
    address
}

/// A target that takes one request and then says nothing more, on every connection.
async fn dying() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            if let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_response(Response::new(()), true).expect("open");
            }
            // Until the answer is out; a PING is not answered any more.
            let _ = tokio::time::timeout(Duration::from_millis(200), connection.accept()).await;
            silent.push(connection);
        }
    });
    address
}

#[tokio::test]
async fn a_dead_connection_is_noticed_and_left() {
    let address = dying().await;
    let lines = format!("{HTTP2}\ntimeouts = {{ connect = \"500ms\", response = \"50s\", idle = \"2s\" }}");
    let gateway = Setup::new(service("dying", &format!("http://{address}"), &lines)).workers(1).start().await;
    assert_eq!(gateway.get("/dying").await.status, 200);
    // By PING, long before the response is overdue: an idempotent request moves to a new connection.
    let started = Instant::now();
    let reply = gateway.get("/dying").await;
    assert!(reply.status == 200 && started.elapsed() < Duration::from_secs(20), "{reply:?} {:?}", started.elapsed());
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let origin = Origin::speaking(Wire::http2());
    let gateway = Setup::new(service("origin", &origin.url(), HTTP2)).start().await;
    let reply = gateway.send(get("/origin").header("te", "trailers").origin("chunks=2 trailers")).await;
    assert_eq!(reply.trailers.expect("trailers")["x-trailer"], "from-origin");
    let request = "POST /origin HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
        3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n";
    let text = Raw::exchange(gateway.proxy, request).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    assert_eq!(origin.seen().last().expect("a request").trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

/// One client that does not read must not hold up the others on its connection.
#[tokio::test]
async fn a_slow_reader_holds_up_nobody_else() {
    let origin = Origin::speaking(Wire::http2());
    let gateway = Setup::new(service("origin", &origin.url(), HTTP2)).workers(1).start().await;
    let mut readers = Vec::new();
    for _ in 0..40 {
        let mut raw = Raw::open(gateway.proxy).await;
        raw.write("GET /origin HTTP/1.1\r\nHost: a\r\nx-origin: size=50000000\r\n\r\n").await;
        raw.read_until("\r\n\r\n").await;
        readers.push(raw);
    }
    for _ in 0..20 {
        assert_eq!(gateway.send(get("/origin").origin("size=100000")).await.body.len(), 100_000);
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_target_without_http2_is_502() {
    let origin = Origin::start();
    let gateway = Setup::new(service("origin", &origin.url(), HTTP2)).start().await;
    assert_eq!(gateway.get("/origin").await.status, 502);
    gateway.says("does not speak HTTP/2").await;
}
