//! Ends connections whose peer takes nothing any more.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::admission::Ticket;
use crate::head::HeadWatch;
use crate::timer::Idle;

/// A connection whose writes must make progress. No timer runs unless a write has to wait.
#[derive(Debug)]
pub(crate) struct StallGuard<T> {
    io: T,
    idle: Idle,
    /// Told of every read.
    head: Option<HeadWatch>,
    /// Given back when the connection goes, and not before: also when it has become a tunnel.
    _ticket: Ticket,
}

impl<T> StallGuard<T> {
    pub(crate) fn new(io: T, patience: Duration, head: Option<HeadWatch>, ticket: Ticket) -> StallGuard<T> {
        StallGuard { io, idle: Idle::new(patience), head, _ticket: ticket }
    }

    fn checked<R>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match written {
            Poll::Ready(done) => {
                self.idle.progress();
                Poll::Ready(done)
            }
            Poll::Pending => self.idle.poll_waiting(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<T: Read + Unpin> Read for StallGuard<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.io).poll_read(context, into);
        if read.is_ready()
            && let Some(head) = &this.head
        {
            head.read();
        }
        read
    }
}

impl<T: Write + Unpin> Write for StallGuard<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.checked(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.checked(context, flushed)
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
        this.checked(context, written)
    }
}
