//! Errors: status, format, and nothing of what is behind the gateway.

use std::time::{Duration, Instant};

use tollgate_tests::{Origin, Raw, Reply, Setup, curl, get, post};

use crate::configs::plain;

fn assert_error(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(reply.header("content-type").starts_with("application/json"), "{reply:?}");
    let json = reply.json();
    assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
    assert_eq!(json["request_id"], reply.header("x-request-id"), "the id leads to the log");
    assert!(reply.text().ends_with("}\n"), "a shell's prompt stands on a line of its own: {:?}", reply.text());
}

#[tokio::test]
async fn errors_are_json_or_text_as_the_client_accepts() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin).replace(r#"["/"]"#, r#"["/here"]"#)).start().await;
    assert_error(&gateway.get("/nowhere").await, 404);
    assert_error(&gateway.send(get("/nowhere").header("accept", "*/*")).await, 404);
    assert_error(&gateway.send(get("/nowhere").header("accept", "application/json, text/plain;q=0.5")).await, 404);
    let text = gateway.send(get("/nowhere").header("accept", "text/plain")).await;
    assert_eq!(text.status, 404);
    assert!(text.header("content-type").starts_with("text/plain"), "{text:?}");
    assert!(serde_json::from_slice::<serde_json::Value>(&text.body).is_err(), "{text:?}");
}

#[tokio::test]
async fn an_unreachable_upstream_is_502_and_a_slow_one_504() {
    let origin = Origin::start();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let config = format!(
        r#"
[[services]]
name = "gone"
url = "http://{gone}"

[[services]]
name = "slow"
url = "{url}"
timeouts = {{ response = "300ms" }}

[[routes]]
name = "gone"
service = "gone"
paths = ["/gone"]

[[routes]]
name = "slow"
service = "slow"
paths = ["/slow"]
"#,
        url = origin.url()
    );
    let gateway = Setup::new(config).start().await;
    let refused = gateway.get("/gone").await;
    assert_error(&refused, 502);
    assert!(!refused.text().contains(&gone.port().to_string()), "addresses stay inside: {}", refused.text());
    let started = Instant::now();
    assert_error(&gateway.send(get("/slow").origin("delay=30000")).await, 504);
    assert_error(&gateway.send(post("/slow", "whole").origin("delay=30000")).await, 504);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(gateway.get("/slow").await.status, 200);
}

/// The upstream is not to blame for a client that does not send on.
#[tokio::test]
async fn a_client_that_stops_sending_is_told_so() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin).replace("[[routes]]", "timeouts = { idle = \"300ms\" }\n[[routes]]"));
    let gateway = gateway.start().await;
    let mut raw = Raw::open(gateway.proxy).await;
    raw.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    let text = raw.read_until("\r\n").await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text:?}");
}

/// An upload that nobody reads: its answer says that the connection ends.
#[tokio::test]
async fn an_upload_to_an_unreachable_upstream_is_answered() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let config = format!(
        "[[services]]\nname = \"gone\"\nurl = \"http://{gone}\"\n\n[[routes]]\nname = \"gone\"\nservice = \"gone\"\npaths = [\"/\"]\n"
    );
    let gateway = Setup::new(config).start().await;
    let reply = gateway.send(post("/", vec![b'x'; 1_000_000])).await;
    assert_error(&reply, 502);
    assert_eq!(reply.header("connection"), "close");
    let mut raw = Raw::open(gateway.proxy).await;
    raw.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nthe rest never comes").await;
    let text = raw.read_until("\r\n").await;
    assert!(text.starts_with("HTTP/1.1 502 "), "{text:?}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_own_status() {
    let origin = Origin::start();
    let lines = "head_size = \"16KiB\"\ntarget_size = \"2KiB\"\nheader_count = 50\nbody_size = \"10KiB\"";
    let gateway = Setup::new(plain(&origin)).proxy(lines).start().await;
    assert_error(&gateway.get(&format!("/{}", "x".repeat(3000))).await, 414);
    let many = (0..60).fold(get("/"), |call, n| call.header(&format!("x-{n}"), "1"));
    assert_error(&gateway.send(many).await, 431);
    assert_eq!(gateway.send(get("/").header("x-large", "x".repeat(20_000))).await.status, 431);
    assert_error(&gateway.send(post("/", vec![b'x'; 10_241])).await, 413);
    assert_eq!(gateway.send(post("/", vec![b'x'; 10_240])).await.status, 200);

    let mut chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".to_vec();
    for _ in 0..20 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend_from_slice(&[b'x'; 0x400]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let text = Raw::exchange(gateway.proxy, chunked).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_never_forwarded() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    for (what, request) in [
        ("no Host", "GET / HTTP/1.1\r\n\r\n"),
        ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ("a Host with user-info", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        ("a blank before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n"),
        ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na"),
        ("an unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
        ("chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        (
            "a length beside a coding",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a coding beside a length",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        ("a line end without CR", "GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n"),
        ("a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let mut raw = Raw::open(gateway.proxy).await;
        raw.write(request).await;
        let text = raw.read_until("\r\n").await;
        assert!(text.starts_with("HTTP/1.1 400 ") || text.starts_with("HTTP/1.1 501 "), "{what}: {text:?}");
    }
    assert_eq!(origin.requests(), 0);
}

#[tokio::test]
async fn a_response_that_breaks_off_is_seen_to_break_off() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let url = format!("http://{}/", gateway.proxy);
    for behaviour in ["x-origin: size=100000 cut=5000", "x-origin: chunks=5 cut=9"] {
        let ran = curl(&["--output", "/dev/null", "-H", behaviour, &url]).await;
        assert_eq!(ran.code, 18, "{behaviour}: {ran:?}");
    }
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn connect_and_options_asterisk_are_answered() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let connect = Raw::exchange(gateway.proxy, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n").await;
    assert!(connect.starts_with("HTTP/1.1 405 ") || connect.starts_with("HTTP/1.1 400 "), "{connect:?}");
    let options = Raw::exchange(gateway.proxy, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(options.starts_with("HTTP/1.1 204 "), "{options:?}");
    assert_eq!(origin.requests(), 0);
}
