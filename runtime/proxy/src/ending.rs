//! How a client's connection ends.
//!
//! A close with bytes in the socket that nobody read, or that arrive afterwards, is a reset, which may take
//! the response away from the client that still sends: such a close lingers. And where a close says that
//! the response is whole (HTTP/1.0), one that is not ends with a reset.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::timer::Idle;

/// What was found out about a connection's end. Atomic for hyper, which wants to be able to send a
/// connection to another thread; one thread uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Arc<AtomicU8>);

impl Ending {
    /// The client may still be sending what nobody reads.
    pub(crate) fn linger(&self) {
        self.note(LINGER);
    }

    /// The client must not take the end for that of its response.
    pub(crate) fn reset(&self) {
        self.note(RESET);
    }

    /// HTTP is over: what the client sends after the other side has ended still has a reader.
    pub(crate) fn half_close(&self) {
        self.note(HALF_CLOSE);
    }

    fn note(&self, what: u8) {
        self.0.store(self.0.load(Ordering::Relaxed) | what, Ordering::Relaxed);
    }

    fn is(&self, what: u8) -> bool {
        self.0.load(Ordering::Relaxed) & what != 0
    }
}

/// A client's socket, below TLS.
#[derive(Debug)]
pub(crate) struct ClientSocket {
    stream: TcpStream,
    ending: Ending,
    lingering: Option<Box<Lingering>>,
}

/// The rest of what a client sends, thrown away.
#[derive(Debug)]
struct Lingering {
    over: Idle,
    left: usize,
}

impl ClientSocket {
    pub(crate) fn new(stream: TcpStream, ending: Ending) -> ClientSocket {
        ClientSocket { stream, ending, lingering: None }
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.stream.readable().await
    }

    pub(crate) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(into)
    }

    /// Begins once the write side is shut down: whether there is anything to wait for.
    fn begin_lingering(&mut self) -> bool {
        let unread = || matches!(self.stream.try_read(&mut [0]), Ok(1..));
        let lingers = !self.ending.is(HALF_CLOSE) && (self.ending.is(LINGER) || unread());
        if lingers {
            self.lingering = Some(Box::new(Lingering { over: Idle::new(LINGER_TIME), left: LINGER_SIZE }));
        }
        lingers
    }

    /// Done once the client has closed, or has had its time.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(lingering) = &mut self.lingering else { return Poll::Ready(()) };
        let mut piece = [0; PIECE];
        while lingering.left > 0 {
            let mut into = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {
                    lingering.left = lingering.left.saturating_sub(into.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(lingering.over.poll_waiting(context));
                    break;
                }
            }
        }
        self.lingering = None;
        Poll::Ready(())
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            // Twice does no harm: the client may have gone meanwhile.
            SockRef::from(&self.stream).shutdown(Shutdown::Write)?;
            if !self.begin_lingering() {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_discard(context).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

impl Drop for ClientSocket {
    fn drop(&mut self) {
        if self.ending.is(RESET) {
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

const LINGER: u8 = 1;
const RESET: u8 = 2;
const HALF_CLOSE: u8 = 4;
/// Of what a client still sends, so much is read, for so long.
const LINGER_SIZE: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(5);
/// On the stack, at the end of a connection only.
const PIECE: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (std::net::TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn an_answer_outlives_what_was_not_read() {
        let (mut client, server) = pair().await;
        let sending = std::thread::spawn(move || {
            client.write_all(&[b'x'; 1 << 20]).unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).map(|_| text)
        });
        let mut socket = ClientSocket::new(server, Ending::default());
        socket.read_exact(&mut [0]).await.unwrap();
        socket.write_all(b"answer").await.unwrap();
        socket.ending.linger();
        socket.shutdown().await.unwrap();
        drop(socket);
        assert_eq!(sending.join().unwrap().unwrap(), "answer");
    }

    #[tokio::test]
    async fn a_client_that_sends_for_ever_is_not_read_for_ever() {
        let (mut client, server) = pair().await;
        let sending = std::thread::spawn(move || {
            let piece = vec![b'x'; 1 << 20];
            (0..).take_while(|_| client.write_all(&piece).is_ok()).count()
        });
        let mut socket = ClientSocket::new(server, Ending::default());
        socket.ending.linger();
        socket.shutdown().await.unwrap();
        drop(socket);
        assert!(sending.join().unwrap() < 2 * (LINGER_SIZE >> 20) + 16);
    }

    #[tokio::test]
    async fn a_tunnel_is_read_on_after_its_other_end_closed() {
        let (mut client, server) = pair().await;
        let mut socket = ClientSocket::new(server, Ending::default());
        socket.ending.half_close();
        client.write_all(b"still here").unwrap();
        socket.readable().await.unwrap();
        socket.shutdown().await.unwrap();
        let mut read = [0; 10];
        socket.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"still here");
    }

    #[tokio::test]
    async fn a_reset_is_no_end() {
        for reset in [false, true] {
            let (mut client, server) = pair().await;
            let mut socket = ClientSocket::new(server, Ending::default());
            if reset {
                socket.ending.reset();
                // It stays one.
                socket.ending.linger();
            }
            socket.write_all(b"part").await.unwrap();
            drop(socket);
            let mut text = String::new();
            let read = client.read_to_string(&mut text);
            assert_eq!(read.is_err(), reset, "{read:?}");
        }
    }
}
