//! Which protocol a plaintext connection speaks: its first bytes tell.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ending::ClientSocket;
use crate::timer::Idle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A connection of which the first bytes were read already; they are read again from here.
#[derive(Debug)]
pub(crate) struct Opened<T> {
    first: Bytes,
    io: T,
}

/// Reads until the bytes tell: HTTP/2 by prior knowledge (RFC 9113, 3.3) starts with its preface,
/// everything else is HTTP/1.1. Costs that no read more, only one comparison. The first byte may take
/// as long as `silence`, the rest of a preface as long as `patience`.
pub(crate) async fn recognise(
    stream: ClientSocket,
    silence: Duration,
    patience: Duration,
) -> io::Result<(Protocol, Opened<ClientSocket>)> {
    let mut first = BytesMut::new();
    let mut timer = Idle::new(silence);
    loop {
        timer.bound(stream.readable()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let bytes = match read_some(&stream, &mut first) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if let Some(protocol) = protocol_of(&first, bytes == 0) {
            return Ok((protocol, Opened::new(first.freeze(), stream)));
        }
        if bytes == first.len() {
            timer.start_over(patience);
        }
    }
}

fn read_some(stream: &ClientSocket, first: &mut BytesMut) -> io::Result<usize> {
    // On the stack: a connection that waits for its first byte holds no buffer.
    let mut piece = [0; FIRST_READ];
    let bytes = stream.try_read(&mut piece)?;
    first.extend_from_slice(&piece[..bytes]);
    Ok(bytes)
}

/// `None` while it could still be either.
pub(crate) fn protocol_of(first: &[u8], ended: bool) -> Option<Protocol> {
    if first.starts_with(PREFACE) {
        return Some(Protocol::Http2);
    }
    (ended || !PREFACE.starts_with(first)).then_some(Protocol::Http1)
}

impl<T> Opened<T> {
    pub(crate) fn new(first: Bytes, io: T) -> Opened<T> {
        Opened { first, io }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Opened<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.io).poll_read(context, into);
        }
        let bytes = this.first.len().min(into.remaining());
        into.put_slice(&this.first[..bytes]);
        this.first.advance(bytes);
        if this.first.is_empty() {
            // Not kept for the rest of the connection.
            this.first = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Opened<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, slices)
    }
}

pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Most heads fit.
const FIRST_READ: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (first, expected) in [
            (&b"G"[..], Some(Protocol::Http1)),
            (b"", None),
            (b"P", None),
            (b"PR", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (b"POST / HTTP/1.1\r\n", Some(Protocol::Http1)),
            (b"PRI * HTTP/2.0\r\nHost: a\r\n", Some(Protocol::Http1)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Protocol::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", Some(Protocol::Http2)),
        ] {
            assert_eq!(protocol_of(first, false), expected, "{}", String::from_utf8_lossy(first));
        }
        assert_eq!(protocol_of(b"PRI", true), Some(Protocol::Http1), "what ends early is HTTP/1.1's to refuse");
    }

    #[tokio::test]
    async fn what_was_read_is_read_again() {
        use tokio::io::AsyncReadExt;
        let mut opened = Opened::new(Bytes::from_static(b"GET / HTTP/1.1"), &b"\r\n\r\n"[..]);
        let mut all = String::new();
        opened.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "GET / HTTP/1.1\r\n\r\n");
    }
}
