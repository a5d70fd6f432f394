//! HTTP/1.1 from upstreams: where their responses end, and what is never taken for one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollgate_tests::{Connection, Gateway, Setup, curl, get};

use crate::configs::service;

/// A target that answers every request with these bytes, then waits, or closes.
struct Scripted {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    async fn start(answer: &'static str, closes: bool) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(answering(stream, answer, closes));
            }
        });
        Scripted { address, connections }
    }

    async fn gateway(&self) -> Gateway {
        Setup::new(service("origin", &format!("http://{}", self.address), "")).workers(1).start().await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn answering(mut stream: TcpStream, answer: &str, closes: bool) {
    let mut read = Vec::new();
    while stream.read_buf(&mut read).await.is_ok_and(|length| length > 0) {
        if read.ends_with(b"\r\n\r\n") {
            read.clear();
            let _ = stream.write_all(answer.as_bytes()).await;
            if closes {
                return;
            }
        }
    }
}

/// Answers that leave their connection to the next request, and those after which nothing more is to be believed.
#[tokio::test]
async fn a_connection_is_used_again_only_where_the_response_certainly_ended() {
    for (answer, body, again) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "ok", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok", true),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "", true),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "ok", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "ok", false),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nno", "", false),
    ] {
        let target = Scripted::start(answer, false).await;
        let gateway = target.gateway().await;
        let mut client = Connection::open(gateway.proxy).await.expect("a connection");
        for _ in 0..3 {
            let reply = client.send(get("/origin")).await.expect("an answer");
            assert_eq!(reply.text(), body, "{answer:?}");
        }
        assert_eq!(target.connections(), if again { 1 } else { 3 }, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_no_response_is_a_bad_gateway() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
    ] {
        let target = Scripted::start(answer, false).await;
        let gateway = target.gateway().await;
        assert_eq!(gateway.get("/origin").await.status, 502, "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_its_connection() {
    let target = Scripted::start("HTTP/1.1 200 OK\r\n\r\nto the end", true).await;
    let gateway = target.gateway().await;
    assert_eq!(gateway.get("/origin").await.text(), "to the end");
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
    ] {
        let target = Scripted::start(answer, true).await;
        let gateway = target.gateway().await;
        let ran = curl(&["--output", "/dev/null", &format!("http://{}/origin", gateway.proxy)]).await;
        assert_eq!(ran.code, 18, "{answer:?}: {ran:?}");
    }
}
