//! How connections of clients end: what was said arrives, what broke off does not look whole.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollgate_tests::{Gateway, Origin, Setup, curl};

use crate::configs::{plain, service};

/// HTTP/1.0 has nothing but the connection's end to say where a body of unknown length ends.
#[tokio::test]
async fn a_broken_response_is_no_whole_one_for_http_1_0() {
    let origin = Origin::start();
    let gateway = Setup::new(plain(&origin)).start().await;
    let url = format!("http://{}/", gateway.proxy);
    let whole = curl(&["--http1.0", "-H", "x-origin: chunks=5", &url]).await;
    assert_eq!((whole.code, whole.stdout.lines().count()), (0, 5), "{whole:?}");
    let broken = curl(&["--http1.0", "-H", "x-origin: chunks=5 cut=9", &url]).await;
    assert_eq!(broken.code, RECEIVE_ERROR, "{broken:?}");
}

/// A client that sends all before it reads, and takes a failure to send for one of the request, gets its
/// answer all the same.
#[tokio::test]
async fn an_answer_to_an_unread_body_arrives() {
    let origin = Origin::start();
    let config = plain(&origin).replace(r#"paths = ["/"]"#, r#"paths = ["/only"]"#);
    let gateway = Setup::new(config).start().await;
    let bounded = Setup::new(plain(&origin)).proxy("body_size = \"1KiB\"").start().await;
    for (gateway, target, status) in [(&gateway, "/nowhere", 404), (&bounded, "/", 413)] {
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n");
        let text = answered(gateway, &head).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {text:?}");
        assert!(text.to_ascii_lowercase().contains("connection: close"), "{text}");
    }
    // Nor does it matter that the gateway can't even read what comes.
    let text = answered(&gateway, "GET / HTTP/1.1\r\nx-endless: ").await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text:?}");
}

/// A protocol that the connection changed to may have no other sign of its end than this.
#[tokio::test]
async fn a_tunnel_that_broke_off_does_not_end_cleanly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let target = tokio::spawn(async move {
        for resets in [false, true] {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut head).await.expect("a request") > 0);
            }
            let answer = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nhello";
            stream.write_all(answer.as_bytes()).await.expect("the gateway reads");
            // Not before the client has it all: a reset takes away what is on its way.
            stream.read_exact(&mut [0; 3]).await.expect("the client's thanks");
            if resets {
                stream.set_zero_linger().expect("a socket can be reset");
            }
        }
    });
    let gateway = Setup::new(service("raw", &url, "")).start().await;
    for resets in [false, true] {
        let mut stream = TcpStream::connect(gateway.proxy).await.expect("a connection");
        let request = "GET /raw HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("the gateway reads");
        let mut text = Vec::new();
        while !text.ends_with(b"hello") {
            assert!(stream.read_buf(&mut text).await.expect("an answer") > 0);
        }
        stream.write_all(b"thx").await.expect("a tunnel");
        let end = stream.read_buf(&mut text).await;
        assert_eq!(end.is_err(), resets, "{end:?}");
    }
    target.await.expect("no panic");
}

/// What is answered to this head and a large body behind it.
async fn answered(gateway: &Gateway, head: &str) -> String {
    let mut stream = TcpStream::connect(gateway.proxy).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("nobody resets");
    stream.write_all(&vec![b'x'; BODY]).await.expect("nobody resets while the body is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("the answer and a clean end");
    text
}

/// More than the sockets of both sides hold.
const BODY: usize = 8 << 20;
/// curl's CURLE_RECV_ERROR.
const RECEIVE_ERROR: i32 = 56;
