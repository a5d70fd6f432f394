use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection for exact bytes.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// Read, but not yet asked for.
    rest: Vec<u8>,
}

impl Raw {
    pub async fn open(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        Raw { stream, rest: Vec::new() }
    }

    /// Sends these bytes on a new connection and reads until the other side closes.
    pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
        let mut raw = Raw::open(address).await;
        raw.write(bytes).await;
        String::from_utf8_lossy(&raw.read_to_end().await).into_owned()
    }

    /// The other side may have closed: what it sent before is still to be read.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads up to and with `end`; panics when the other side closes before.
    pub async fn read_until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.rest.windows(end.len()).position(|window| window == end.as_bytes()) {
                let read: Vec<u8> = self.rest.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&read).into_owned();
            }
            assert!(self.fill().await > 0, "closed before {end:?}, after {:?}", String::from_utf8_lossy(&self.rest));
        }
    }

    /// Reads until the other side closes; panics when it does not for a long time.
    pub async fn read_to_end(mut self) -> Vec<u8> {
        while self.fill().await > 0 {}
        self.rest
    }

    /// Bytes that came; 0 at the end, a reset included.
    async fn fill(&mut self) -> usize {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.rest)).await;
        read.expect("neither more bytes nor the end").unwrap_or_default()
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
