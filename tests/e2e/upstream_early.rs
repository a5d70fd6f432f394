//! Upstreams of HTTP/1.1 that answer, close or send before they should: the next request never pays for it.

use std::time::Duration;

use futures_util::future::join;
use http::Method;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::timeout;
use tollgate_tests::{Call, Frame, Frames, Gateway, Raw, Setup, Upstream, eventually, get, post, until};

use crate::configs::service;

/// hyper takes this reset for the end of the body.
#[tokio::test]
async fn a_body_that_was_reset_leaves_the_next_request_alone() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    let authority = gateway.proxy.to_string();
    for (length, answered_first) in [(Some("100"), true), (Some("100"), false), (None, true), (None, false)] {
        let what = format!("length {length:?}, answered before the reset: {answered_first}");
        let mut fields =
            vec![(":method", "POST"), (":scheme", "http"), (":path", "/origin"), (":authority", authority.as_str())];
        fields.extend(length.map(|length| ("content-length", length)));
        let mut client = Frames::open(gateway.proxy, &[]).await;
        client.send(Frame::HEADERS, Frame::END_HEADERS, 1, &Frames::block(&fields)).await;
        client.send(Frame::DATA, 0, 1, b"ten bytes!").await;
        let mut early = upstream.accept().await;
        let head = early.head().await;
        if answered_first {
            early.say(UNAUTHORIZED).await;
            client.next_of(&[Frame::HEADERS]).await.expect("the early answer");
        }
        client.send(Frame::RST_STREAM, 0, 1, &NO_ERROR).await;
        client.send(Frame::PING, 0, 0, &[0; 8]).await;
        client.next_of(&[Frame::PING]).await.expect("the reset was read");
        if !answered_first {
            early.say(UNAUTHORIZED).await;
        }

        let next = tokio::spawn(post("/origin", "whole").send(gateway.proxy));
        let mut other = upstream.accept().await;
        let next_head = other.head().await;
        assert!(next_head.starts_with("POST /origin HTTP/1.1\r\n"), "{what}: {next_head}");
        assert_eq!(other.body(&next_head).await, Some(5), "{what}");
        other.say(LAST).await;
        assert_eq!(next.await.expect("no panic").status, 200, "{what}");
        assert_eq!(early.body(&head).await, None, "{what}: what broke off does not look whole");
    }
}

#[tokio::test]
async fn an_upload_goes_on_behind_an_early_answer() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    for (framing, upload) in uploads(2_000_000) {
        let mut client = Raw::open(gateway.proxy).await;
        client.write(format!("POST /origin HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")).await;
        let mut peer = upstream.accept().await;
        let head = peer.head().await;
        peer.say(UNAUTHORIZED).await;
        let answer = client.read_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{framing}: {answer}");

        let sending = tokio::spawn(async move {
            client.write(upload).await;
            client
        });
        assert_eq!(peer.body(&head).await, Some(2_000_000), "{framing}");
        let mut client = bounded("the end of the upload", sending).await.expect("no panic");
        client.write("POST /origin HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        client.write("4\r\nnext\r\n0\r\n\r\n").await;
        let mut peer = upstream.next(peer).await;
        let head = peer.head().await;
        assert!(head.starts_with("POST /origin HTTP/1.1\r\n"), "{framing}");
        assert_eq!(peer.body(&head).await, Some(4), "{framing}");
        peer.say(LAST).await;
        let answer = client.read_until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{framing}: {answer}");
    }
}

#[tokio::test]
async fn a_request_that_broke_off_on_its_way_is_not_sent_again() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    for (framing, upload) in uploads(2_000_000) {
        let mut client = Raw::open(gateway.proxy).await;
        client.write(format!("POST /origin HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")).await;
        client.write(&upload[..100_000]).await;
        let mut peer = upstream.accept().await;
        peer.head().await;
        let again = upstream.answers(OK);
        peer.reset();
        let answer = bounded("an answer", client.read_until("\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{framing}: {answer}");
        assert!(!again.is_finished(), "{framing}: it came a second time");
        again.abort();
    }
}

/// Of an early answer hyper asks no further than its length.
#[tokio::test]
async fn an_early_answer_that_was_sent_whole_is_recorded_as_complete() {
    let upstream = Upstream::bind().await;
    let config = "chain = [\"file-log\"]\n".to_owned()
        + &service("origin", &upstream.url(), "")
        + "[[plugins]]\nname = \"file-log\"\nconfig = { path = \"access.log\" }\ngrants = { files = [\"access.log\"] }\n";
    let gateway = Setup::new(config).plugins(&["file-log"]).workers(1).start().await;
    let mut client = Raw::open(gateway.proxy).await;
    client.write("POST /origin HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbegun").await;
    let mut peer = upstream.accept().await;
    let head = peer.head().await;
    peer.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nearly").await;
    client.read_until("early").await;
    client.write("ends").await;
    assert_eq!(peer.body(&head).await, Some(9));
    let record = eventually(PATIENCE, async || serde_json::from_str::<Value>(&gateway.data_file("access.log"))).await;
    assert_eq!((&record["aborted"], &record["response_bytes"]), (&false.into(), &5.into()), "{record}");
}

#[tokio::test]
async fn a_client_may_send_everything_before_it_reads() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    let mut client = Raw::open(gateway.proxy).await;
    let asking = async move {
        client.write("POST /origin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n").await;
        client.write(format!("Content-Length: {LARGE}\r\n\r\n")).await;
        client.write(vec![b'x'; LARGE]).await;
        client.read_until("\r\n\r\n").await;
        client.read_to_end().await.len()
    };
    let answering = async {
        let mut peer = upstream.accept().await;
        peer.head().await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
        peer.exchange(&(head + &"y".repeat(LARGE)), LARGE).await
    };
    let (received, uploaded) = bounded("the end of both", join(asking, answering)).await;
    assert_eq!((received, uploaded), (LARGE, Some(LARGE)));
}

/// The first attempt must not go on with a body that is kept for the second.
#[tokio::test]
async fn a_second_attempt_has_the_whole_body_or_is_not_made() {
    for (framing, upload) in uploads(3_000_000) {
        let upstream = Upstream::bind().await;
        let gateway = gateway(&upstream, "retries = { attempts = 2, on = [\"503\"], body_size = \"64KiB\" }").await;
        let mut client = Raw::open(gateway.proxy).await;
        client.write(format!("PUT /origin HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")).await;
        let mut refusing = upstream.accept().await;
        let head = refusing.head().await;
        refusing.say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        tokio::spawn(async move { refusing.body(&head).await });
        let again = tokio::spawn(async move {
            let mut peer = upstream.accept().await;
            let head = peer.head().await;
            let body = peer.body(&head).await;
            peer.say(OK).await;
            body
        });

        let exchange = async {
            client.write(upload).await;
            client.read_until("\r\n").await
        };
        let answer = bounded("an answer", exchange).await;
        if again.is_finished() {
            assert_eq!(again.await.expect("no panic"), Some(3_000_000), "{framing}: {answer}");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{framing}: {answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 503 "), "{framing}: {answer}");
        }
    }
}

/// An interim answer says that the target has seen the request: it did not close an idle connection.
#[tokio::test]
async fn a_request_that_was_half_answered_is_not_sent_again() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    let first = upstream.answers(OK);
    assert_eq!(gateway.get("/origin").await.status, 200);
    let mut peer = first.await.expect("no panic");
    let again = upstream.answers(OK);
    let put = tokio::spawn(Call::new(Method::PUT, "/origin").send(gateway.proxy));
    assert!(peer.head().await.starts_with("PUT /origin HTTP/1.1\r\n"));
    peer.say("HTTP/1.1 100 Continue\r\n\r\n").await;
    drop(peer);
    assert_eq!(put.await.expect("no panic").status, 502);
    assert!(!again.is_finished(), "it came a second time");
}

/// More of them than a task of tokio may read at one go.
#[tokio::test]
async fn many_kept_connections_that_were_closed_cost_no_request() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    let asking: Vec<_> = (0..KEPT).map(|_| tokio::spawn(get("/origin").send(gateway.proxy))).collect();
    let mut peers = Vec::new();
    for _ in 0..KEPT {
        let mut peer = upstream.accept().await;
        peer.head().await;
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.say(OK).await;
    }
    for reply in asking {
        assert_eq!(reply.await.expect("no panic").status, 200);
    }
    drop(peers);
    let _next = upstream.answers(OK);
    assert_eq!(gateway.send(post("/origin", "")).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_nobodys() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    let first = upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
    assert_eq!(gateway.get("/origin").await.text(), "first");
    let mut idle = first.await.expect("no panic");
    idle.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray").await;
    let _next = upstream.answers("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
    assert_eq!(gateway.get("/origin").await.text(), "second");
    assert_eq!(idle.rest().await, b"", "it is closed, and nothing was asked on it");
}

#[tokio::test]
async fn a_protocol_does_not_change_in_the_middle_of_a_request() {
    let upstream = Upstream::bind().await;
    let gateway = gateway(&upstream, "").await;
    let switching = upstream.answers("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
    let mut client = Raw::open(gateway.proxy).await;
    client.write("POST /origin HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n").await;
    client.write("Content-Length: 10\r\n\r\nabc").await;
    let answer = client.read_until("\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    // The gateway closes it.
    switching.await.expect("no panic").rest().await;
}

/// A socket tells of a reset once: whoever wrote to it has heard, and then it reads as if it had ended.
#[tokio::test]
async fn a_reset_during_an_upload_is_not_the_end_of_the_response() {
    let upstream = Upstream::bind().await;
    let mut gateway = gateway(&upstream, "").await;
    let stat = format!("/proc/{}/stat", gateway.process().id());
    for upload_first in [true, false] {
        let answering = upstream.answers("HTTP/1.1 200 OK\r\n\r\nsome bytes");
        let mut client = Raw::open(gateway.proxy).await;
        client.write("POST /origin HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100\r\n\r\nbegun").await;
        client.read_until("some bytes").await;
        let peer = answering.await.expect("no panic");
        // So that it finds the upload and the reset at the same time.
        gateway.process().signal(Signal::STOP);
        let stands_still = async || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        until(PATIENCE, "the gateway stands still", stands_still).await;
        if upload_first {
            client.write("more").await;
            peer.reset();
        } else {
            peer.reset();
            client.write("more").await;
        }
        gateway.process().signal(Signal::CONT);
        let rest = client.read_to_end().await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.ends_with("0\r\n\r\n"), "upload first: {upload_first}: {rest:?}");
    }
}

/// With a route `/origin`; `lines` stand in the service's table.
async fn gateway(upstream: &Upstream, lines: &str) -> Gateway {
    Setup::new(service("origin", &upstream.url(), lines)).workers(1).start().await
}

/// The same body with a length and in chunks: the field that says so, and the bytes.
fn uploads(size: usize) -> [(String, String); 2] {
    let chunk = format!("{PIECE:x}\r\n{}\r\n", "x".repeat(PIECE));
    let chunks = chunk.repeat(size / PIECE) + "0\r\n\r\n";
    [(format!("Content-Length: {size}"), "x".repeat(size)), ("Transfer-Encoding: chunked".to_owned(), chunks)]
}

async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} does not come"))
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
const NO_ERROR: [u8; 4] = [0; 4];
/// Within the 256 that are kept to a target.
const KEPT: usize = 200;
/// Bytes of a chunk.
const PIECE: usize = 20_000;
/// More than all the sockets on the way hold.
const LARGE: usize = 32 << 20;
const PATIENCE: Duration = Duration::from_secs(30);
