//! An upstream of HTTP/1.1 byte by byte, well-behaved or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Listens; the test speaks for it. Clones share it.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<TcpListener>);

/// Its end of a connection. What is waited for has to come within a time; otherwise it panics.
#[derive(Debug)]
pub struct Peer(BufReader<TcpStream>);

impl Upstream {
    pub async fn bind() -> Upstream {
        Upstream(Arc::new(TcpListener::bind("127.0.0.1:0").await.expect("a port is free")))
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("a listener has an address"))
    }

    pub async fn accept(&self) -> Peer {
        let (stream, _) = soon("another connection", self.0.accept()).await.expect("a listener accepts");
        Peer(BufReader::new(stream))
    }

    /// Where the next request comes: on this connection, or on a new one.
    pub async fn next(&self, mut kept: Peer) -> Peer {
        tokio::select! {
            true = kept.is_asked() => kept,
            other = self.accept() => other,
        }
    }

    /// Answers the first head of the next new connection, on a task of its own that returns the connection.
    pub fn answers(&self, answer: &'static str) -> JoinHandle<Peer> {
        let upstream = self.clone();
        tokio::spawn(async move {
            let mut peer = upstream.accept().await;
            peer.head().await;
            peer.say(answer).await;
            peer
        })
    }
}

impl Peer {
    /// The head of the next request; panics when the other side closes before.
    pub async fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = soon("the rest of a head", self.0.read_line(&mut head)).await;
            assert!(read.is_ok_and(|read| read > 0), "closed after {head:?}");
        }
        head
    }

    /// Bytes of the body that this head announces; `None` when it broke off.
    pub async fn body(&mut self, head: &str) -> Option<usize> {
        match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
            Some(length) => {
                let mut body = vec![0; length.parse().expect("a number")];
                soon("the rest of a body", self.0.read_exact(&mut body)).await.ok()
            }
            None => soon("the last chunk", self.chunks()).await,
        }
    }

    /// The other side may have closed: what it sent before is still to be read.
    pub async fn say(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    /// Says this and reads so many bytes, neither waiting for the other; how many came.
    pub async fn exchange(self, text: &str, size: usize) -> Option<usize> {
        let (mut reading, mut writing) = split(self.0);
        let mut read = vec![0; size];
        let (read, written) = tokio::join!(reading.read_exact(&mut read), writing.write_all(text.as_bytes()));
        written.and(read).ok()
    }

    /// What comes until the other side closes, a reset included.
    pub async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = soon("the end of a connection", self.0.read_to_end(&mut rest)).await;
        rest
    }

    /// Closes by a reset, which takes away what is on its way.
    pub fn reset(self) {
        self.0.get_ref().set_zero_linger().expect("a socket can be reset");
    }

    async fn is_asked(&mut self) -> bool {
        self.0.fill_buf().await.is_ok_and(|read| !read.is_empty())
    }

    /// Without trailers.
    async fn chunks(&mut self) -> Option<usize> {
        let mut whole = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.ok()?;
            let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
            self.0.read_exact(&mut vec![0; length + 2]).await.ok()?;
            whole += length;
            if length == 0 {
                return Some(whole);
            }
        }
    }
}

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} does not come"))
}

const PATIENCE: Duration = Duration::from_secs(30);
