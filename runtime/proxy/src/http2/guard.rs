//! A connection that is ended when its client floods it with control frames.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::budget::Budget;
use super::frames::Frames;
use crate::protocol::PREFACE;
use crate::timer::Idle;

/// Follows the frames both ways. Once the budget is spent nothing more is read, the frame that is
/// on its way out is finished, and the client is told GOAWAY with ENHANCE_YOUR_CALM.
#[derive(Debug)]
pub(super) struct FrameGuard<T> {
    io: T,
    received: Frames,
    sent: Frames,
    budget: Budget,
    flooded: bool,
    /// For the preface and the head of the first frame, until they are there.
    opening: Option<Idle>,
    /// The reading side, which waits for a frame to be finished.
    waiting: Option<Waker>,
}

impl<T> FrameGuard<T> {
    /// `patience` is for what opens the connection: the preface and the head of the first frame.
    pub(super) fn new(io: T, patience: Duration) -> FrameGuard<T> {
        FrameGuard {
            io,
            received: Frames::after(PREFACE.len()),
            sent: Frames::after(0),
            budget: Budget::new(),
            flooded: false,
            opening: Some(Idle::new(patience)),
            waiting: None,
        }
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        let budget = &mut self.budget;
        self.sent.follow(bytes, |frame| budget.sent(frame));
        if self.flooded
            && self.sent.is_between()
            && let Some(reader) = self.waiting.take()
        {
            reader.wake();
        }
    }
}

impl<T: AsyncWrite + Unpin> FrameGuard<T> {
    fn poll_goodbye(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.sent.is_between() {
            self.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        // A client that takes nothing any more is not waited for.
        let _ = Pin::new(&mut self.io).poll_write(context, &GOAWAY);
        let _ = Pin::new(&mut self.io).poll_flush(context);
        Poll::Ready(Err(io::Error::other(FLOODED)))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for FrameGuard<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.flooded {
            return this.poll_goodbye(context);
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(context, into);
        if let Poll::Ready(Ok(())) = &polled {
            let (budget, flooded, opening) = (&mut this.budget, &mut this.flooded, &mut this.opening);
            this.received.follow(&into.filled()[before..], |frame| {
                *flooded |= !budget.received(frame);
                *opening = None;
            });
        }
        if this.flooded {
            into.set_filled(before);
            return this.poll_goodbye(context);
        }
        if polled.is_pending()
            && let Some(opening) = &mut this.opening
        {
            return opening.poll_waiting(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FrameGuard<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            this.note_sent(&bytes[..*written]);
        }
        written
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
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(written)) = &written {
            let mut left = *written;
            for slice in slices {
                let taken = slice.len().min(left);
                this.note_sent(&slice[..taken]);
                left -= taken;
            }
        }
        written
    }
}

/// Whether a connection ended because its client flooded it.
pub(super) fn is_flood(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.to_string().contains(FLOODED) {
            return true;
        }
        source = cause.source();
    }
    false
}

const FLOODED: &str = "too many control frames";
/// Last stream 2^31-1 (none of them was refused), ENHANCE_YOUR_CALM (RFC 9113, 6.8 and 7).
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0xb];

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_flood_is_told_goodbye_after_the_frame_that_is_under_way() {
        let (client, server) = tokio::io::duplex(1 << 20);
        let mut guard = FrameGuard::new(server, Duration::from_secs(60));
        let (mut reading, mut writing) = tokio::io::split(client);
        let mut flood = PREFACE.to_vec();
        (0..5000).for_each(|_| flood.extend([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]));
        writing.write_all(&flood).await.unwrap();

        // Half of a DATA frame of two bytes is out when the flood is noticed.
        guard.write_all(&[0, 0, 2, 0, 0, 0, 0, 0, 1, b'a']).await.unwrap();
        let mut into = vec![0; 1 << 17];
        let waits = std::future::poll_fn(|context| {
            let read = Pin::new(&mut guard).poll_read(context, &mut ReadBuf::new(&mut into));
            Poll::Ready(read.is_pending())
        });
        assert!(waits.await, "not in the middle of a frame");
        guard.write_all(b"b").await.unwrap();
        let error = guard.read(&mut into).await.unwrap_err();
        assert!(error.to_string().contains(FLOODED));
        drop(guard);
        let mut received = Vec::new();
        reading.read_to_end(&mut received).await.unwrap();
        assert_eq!(received[..11], [0, 0, 2, 0, 0, 0, 0, 0, 1, b'a', b'b']);
        assert_eq!(received[11..], GOAWAY);
    }
}
