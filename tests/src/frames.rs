//! HTTP/2 frame by frame, valid or not.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection for exact frames.
#[derive(Debug)]
pub struct Frames {
    stream: TcpStream,
    rest: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    /// Of DATA and HEADERS.
    pub const END_STREAM: u8 = 1;
    /// Of SETTINGS and PING.
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;

    /// The code of RST_STREAM and GOAWAY.
    pub fn error_code(&self) -> u32 {
        let at = if self.kind == Frame::GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    /// The status of HEADERS, if it is one of those that the static table has.
    pub fn status(&self) -> Option<u16> {
        let indexed = self.payload.first()?.checked_sub(0x88)?;
        [200, 204, 206, 304, 400, 404, 500].get(usize::from(indexed)).copied()
    }
}

impl Frames {
    /// What a client begins with (RFC 9113, 3.4).
    pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// Sends nothing yet.
    pub async fn connect(address: SocketAddr) -> Frames {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        let _ = stream.set_nodelay(true);
        Frames { stream, rest: Vec::new() }
    }

    /// Sends the preface and these settings.
    pub async fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Frames {
        let mut frames = Frames::connect(address).await;
        frames.write(Frames::PREFACE).await;
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        frames.send(Frame::SETTINGS, 0, 0, &payload).await;
        frames
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.write(&Frames::encoded(kind, flags, stream, payload)).await;
    }

    /// A whole request without a body; fields are sent as they are.
    pub async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.send(Frame::HEADERS, Frame::END_STREAM | Frame::END_HEADERS, stream, &Frames::block(fields)).await;
    }

    /// A field block.
    pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
        fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
    }

    pub fn encoded(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// The other side may have closed: what it sent before is still to be read.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame of one of these kinds; `None` when the other side closed before.
    pub async fn next_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }

    /// The next frame of any kind; `None` when the other side closed before.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.rest)).await;
            if read.expect("neither a frame nor the end").unwrap_or_default() == 0 {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head = self.rest.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        self.rest.get(..9 + length)?;
        let bytes: Vec<u8> = self.rest.drain(..9 + length).collect();
        Some(Frame { kind, flags, stream, payload: bytes[9..].to_vec() })
    }
}

/// A field that is not to be remembered, without Huffman coding (RFC 7541, 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        // Lengths from 127 on take more bytes: tests send short ones.
        assert!(text.len() < 127, "{text}");
        bytes.push(text.len() as u8);
        bytes.extend(text.as_bytes());
    }
    bytes
}

const PATIENCE: Duration = Duration::from_secs(30);
