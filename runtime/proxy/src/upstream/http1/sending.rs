//! A request on its way.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::Stream;
use crate::body::{BodyError, RequestBody};
use crate::error::ErrorKind;

/// The bytes that wait to be written, and where more come from.
pub(super) struct Sending {
    /// Heads, and what stands between chunks.
    own: BytesMut,
    /// It had more than an idle connection keeps.
    grew: bool,
    /// Of the body, behind `own`.
    piece: Bytes,
    body: RequestBody,
    announced: Announced,
    /// A line end is owed to the chunk before.
    chunk_open: bool,
    /// Nothing more comes from the body.
    ended: bool,
    /// Bytes, of this request and those before.
    pub(super) sent: u64,
    /// Something of this request was written.
    pub(super) touched: bool,
    /// All of it was.
    pub(super) done: bool,
}

/// What the head says of the body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// There is none.
    Nothing,
    /// So many bytes are to come.
    Length(u64),
    Chunked,
}

/// Why a request can't be sent on.
#[derive(Debug)]
pub(super) enum SendError {
    Connection(io::Error),
    /// Its body broke off.
    Body(BodyError),
}

impl Sending {
    pub(super) fn nothing() -> Sending {
        Sending {
            own: BytesMut::new(),
            grew: false,
            piece: Bytes::new(),
            body: RequestBody::Empty,
            announced: Announced::Nothing,
            chunk_open: false,
            ended: true,
            sent: 0,
            touched: false,
            done: true,
        }
    }

    /// Where a request's head is written.
    pub(super) fn head(&mut self) -> &mut BytesMut {
        &mut self.own
    }

    /// The head is written, and this is the body behind it.
    pub(super) fn begin(&mut self, body: RequestBody, announced: Announced) {
        self.grew |= self.own.len() > KEPT;
        self.ended = matches!(announced, Announced::Nothing | Announced::Length(0));
        (self.body, self.announced) = (body, announced);
        (self.chunk_open, self.touched, self.done) = (false, false, false);
    }

    /// Keeps little for the next request.
    pub(super) fn rest(&mut self) {
        // Not by its capacity: that is less than its memory once something was taken from it.
        if std::mem::take(&mut self.grew) {
            self.own = BytesMut::new();
        }
    }

    /// Nobody wants the rest of it.
    pub(super) fn give_up(&mut self) {
        *self = Sending { sent: self.sent, touched: self.touched, ..Sending::nothing() };
    }

    /// The body, if not a byte of the request was written.
    pub(super) fn untouched(&mut self) -> Option<RequestBody> {
        (!self.touched).then(|| std::mem::replace(&mut self.body, RequestBody::Empty))
    }

    /// Done once all is written.
    pub(super) fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        loop {
            ready!(self.poll_write(stream, context)).map_err(SendError::Connection)?;
            if self.ended {
                ready!(Pin::new(&mut *stream).poll_flush(context)).map_err(SendError::Connection)?;
                self.done = true;
                self.body = RequestBody::Empty;
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                // TLS may still hold what the target waits for.
                ready!(Pin::new(&mut *stream).poll_flush(context)).map_err(SendError::Connection)?;
                return Poll::Pending;
            };
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.add(data).map_err(SendError::Body)?,
                    Err(frame) => self.end(frame.into_trailers().ok()).map_err(SendError::Body)?,
                },
                None => self.end(None).map_err(SendError::Body)?,
                Some(Err(error)) => return Poll::Ready(Err(SendError::Body(error))),
            }
        }
    }

    fn poll_write(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.own.is_empty() || !self.piece.is_empty() {
            let stream = Pin::new(&mut *stream);
            let written = match (self.own.is_empty(), self.piece.is_empty()) {
                (false, true) => stream.poll_write(context, &self.own),
                (true, _) => stream.poll_write(context, &self.piece),
                (false, false) => {
                    stream.poll_write_vectored(context, &[IoSlice::new(&self.own), IoSlice::new(&self.piece)])
                }
            };
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.touched = true;
            self.sent += written as u64;
            let own = written.min(self.own.len());
            self.own.advance(own);
            self.piece.advance(written - own);
        }
        self.own.clear();
        // What is sent is not to be held any longer.
        self.piece = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// A piece of the body, which has to fit what was announced: the target takes what follows for another request.
    fn add(&mut self, data: Bytes) -> Result<(), BodyError> {
        // A chunk without content would be the last one.
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.announced {
            Announced::Nothing => return Err(BodyError(ErrorKind::ClientBody)),
            Announced::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(BodyError(ErrorKind::ClientBody))?;
                self.ended = *left == 0;
            }
            Announced::Chunked => {
                let before = if self.chunk_open { "\r\n" } else { "" };
                write_text(&mut self.own, format_args!("{before}{:x}\r\n", data.len()));
                self.chunk_open = true;
            }
        }
        self.piece = data;
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), BodyError> {
        match self.announced {
            Announced::Chunked => {}
            Announced::Nothing | Announced::Length(0) => {
                self.ended = true;
                return Ok(());
            }
            Announced::Length(_) => return Err(BodyError(ErrorKind::ClientBody)),
        }
        self.ended = true;
        self.own.extend_from_slice(if self.chunk_open { b"\r\n0\r\n" } else { b"0\r\n" });
        for (name, value) in trailers.iter().flatten() {
            write_field(&mut self.own, name.as_str(), value.as_bytes());
        }
        self.own.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// Bytes of room that an idle connection keeps in each direction.
pub(super) const KEPT: usize = 8 << 10;

/// A line of a head, or of trailers.
pub(crate) fn write_field(into: &mut BytesMut, name: &str, value: &[u8]) {
    into.reserve(name.len() + value.len() + 4);
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(b": ");
    into.extend_from_slice(value);
    into.extend_from_slice(b"\r\n");
}

fn write_text(into: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    let mut line = [0; 24];
    let mut rest = &mut line[..];
    rest.write_fmt(text).expect("a number of 64 bits and four bytes have room");
    let left = rest.len();
    into.extend_from_slice(&line[..line.len() - left]);
}
