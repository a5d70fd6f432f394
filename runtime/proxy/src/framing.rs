//! What hyper does not tell of a request's head: whether a Content-Length stood beside its
//! Transfer-Encoding (RFC 9112, 6.1: some servers go by the one, some by the other), and whether its lines
//! ended as they should.
//!
//! Bytes are remembered as they are read, until the request that they are the head of is handed over. Where
//! a body ends is known for all but chunked ones. Of a request that was sent behind a chunked body before
//! that was answered, the head may be missed: then it must not be one that would have to be looked at.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::{HeaderMap, Method, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::ErrorKind;

/// The heads of one connection, as they come. One thread has all of it; the mutex is there because hyper
/// takes no connection that could not be sent to another.
#[derive(Clone, Debug)]
pub(crate) struct Heads(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Of heads, from the first that was not handed over yet.
    bytes: Vec<u8>,
    next: Next,
    most: usize,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Head,
    /// So many bytes of a body, then a head.
    Body(u64),
    /// A body of unknown length, up to the end of its request.
    Unknown,
}

impl Heads {
    /// `most`: bytes of a head that hyper takes.
    pub(crate) fn new(most: usize) -> Heads {
        Heads(Arc::new(Mutex::new(State { bytes: Vec::new(), next: Next::Head, most })))
    }

    /// A request was made of the next head: what is wrong with it that its fields don't show.
    pub(crate) fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), ErrorKind> {
        let chunked = headers.contains_key(header::TRANSFER_ENCODING);
        let mut state = self.state();
        let Some(lines) = state.head(method) else {
            state.forget();
            return if chunked { Err(UNSEEN) } else { Ok(()) };
        };
        let Lines { end, bare, has_length, fragment } = lines;
        state.bytes.drain(..end);
        state.next = Next::Head;
        if chunked {
            state.forget();
        } else if let Some(length) = headers.get(header::CONTENT_LENGTH) {
            let length = length.to_str().ok().and_then(|length| length.parse().ok()).unwrap_or(0);
            state.skip(length);
        }
        if state.bytes.is_empty() {
            // An idle connection keeps nothing.
            state.bytes = Vec::new();
        }
        match (bare, chunked && has_length) {
            (true, _) => Err(ErrorKind::BadRequest("a line of the request does not end with CR and LF")),
            _ if fragment => Err(ErrorKind::BadRequest("the request target has a fragment")),
            (_, true) => Err(ErrorKind::BadRequest("the request has both Transfer-Encoding and Content-Length")),
            _ => Ok(()),
        }
    }

    /// The request is over, and what is read from now on is another head.
    pub(crate) fn over(&self) {
        let mut state = self.state();
        if state.next == Next::Unknown {
            state.next = Next::Head;
        }
    }

    /// The connection changes to another protocol, unless that is refused.
    pub(crate) fn pause(&self) {
        self.state().forget();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, bytes: &[u8]) {
        self.state().saw(bytes);
    }
}

/// What the lines of a head show.
struct Lines {
    /// Where it ends.
    end: usize,
    /// A line ended without CR.
    bare: bool,
    has_length: bool,
    /// Its target has a fragment, which hyper cuts off.
    fragment: bool,
}

impl State {
    fn saw(&mut self, bytes: &[u8]) {
        let bytes = match self.next {
            Next::Unknown => return,
            Next::Head => bytes,
            Next::Body(left) => {
                let skipped = left.min(bytes.len() as u64);
                self.next = if left > skipped { Next::Body(left - skipped) } else { Next::Head };
                &bytes[skipped as usize..]
            }
        };
        if self.bytes.len() + bytes.len() > self.most {
            return self.forget();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The first head, if it is there and is the one of this request.
    fn head(&self, method: &Method) -> Option<Lines> {
        // hyper skips empty lines in front of a request.
        let start = self.bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        let bytes = &self.bytes[start..];
        if !bytes.starts_with(method.as_str().as_bytes()) {
            return None;
        }
        let (mut at, mut bare, mut has_length, mut fragment) = (0, false, false, false);
        loop {
            let line = &bytes[at..];
            let length = memchr::memchr(b'\n', line)?;
            let ends_well = length > 0 && line[length - 1] == b'\r';
            bare |= !ends_well;
            has_length |= is_content_length(&line[..length]);
            fragment |= at == 0 && memchr::memchr(b'#', &line[..length]).is_some();
            at += length + 1;
            if length == usize::from(ends_well) {
                return Some(Lines { end: start + at, bare, has_length, fragment });
            }
        }
    }

    /// A body of so many bytes follows, some of which may be here.
    fn skip(&mut self, length: u64) {
        let here = length.min(self.bytes.len() as u64);
        self.bytes.drain(..here as usize);
        if length > here {
            self.next = Next::Body(length - here);
        }
    }

    fn forget(&mut self) {
        self.bytes = Vec::new();
        self.next = Next::Unknown;
    }
}

fn is_content_length(line: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length";
    line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME)
}

/// A connection whose heads are remembered.
#[derive(Debug)]
pub(crate) struct Remembering<T> {
    io: T,
    heads: Heads,
}

impl<T> Remembering<T> {
    pub(crate) fn new(io: T, heads: Heads) -> Remembering<T> {
        Remembering { io, heads }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Remembering<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, into);
        if read.is_ready() {
            this.heads.saw(&into.filled()[before..]);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Remembering<T> {
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

pub(crate) const UNSEEN: ErrorKind =
    ErrorKind::BadRequest("a chunked request was sent before the one in front of it was answered");

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn chunked() -> HeaderMap {
        fields(&[("transfer-encoding", "chunked")])
    }

    #[test]
    fn a_length_beside_a_coding_is_found_wherever_it_stands() {
        for head in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncONTENT-lENGTH: 5\r\n\r\n0\r\n\r\n",
            "\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        ] {
            let heads = Heads::new(1 << 16);
            // In pieces, as a network may deliver them.
            head.as_bytes().chunks(7).for_each(|piece| heads.saw(piece));
            assert!(heads.check(&Method::POST, &chunked()).is_err(), "{head:?}");
        }
    }

    #[test]
    fn bodies_are_not_taken_for_heads() {
        let heads = Heads::new(1 << 16);
        let body = "\r\nContent-Length: 3\r\n\r\n";
        heads.saw(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        assert!(heads.check(&Method::POST, &fields(&[("content-length", "23")])).is_ok());
        assert_eq!(body.len(), 23);
        heads.saw(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        assert!(heads.check(&Method::POST, &chunked()).is_ok());
        heads.saw(b"more of the body");
        heads.over();
        heads.saw(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(heads.check(&Method::POST, &chunked()).is_ok());
    }

    #[test]
    fn pipelined_heads_are_told_apart() {
        let heads = Heads::new(1 << 16);
        heads.saw(b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabPOST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(heads.check(&Method::GET, &HeaderMap::new()).is_ok());
        assert!(heads.check(&Method::POST, &fields(&[("content-length", "2")])).is_ok());
        assert!(heads.check(&Method::POST, &chunked()).is_err());
    }

    #[test]
    fn what_was_not_seen_is_not_believed() {
        let heads = Heads::new(64);
        heads.saw(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(heads.check(&Method::POST, &chunked()).is_ok());
        assert!(heads.check(&Method::GET, &HeaderMap::new()).is_ok(), "nothing in it can be ambiguous");
        assert!(heads.check(&Method::POST, &chunked()).is_err());
        heads.over();
        heads.saw(&[b'x'; 65]);
        assert!(heads.check(&Method::POST, &chunked()).is_err(), "longer than is remembered");
    }

    #[test]
    fn a_fragment_belongs_to_no_request() {
        for (head, good) in [
            ("GET /a#b HTTP/1.1\r\n\r\n", false),
            ("GET /a?b=1# HTTP/1.1\r\n\r\n", false),
            ("GET /a%23b HTTP/1.1\r\nReferer: /a#b\r\n\r\n", true),
        ] {
            let heads = Heads::new(1 << 16);
            heads.saw(head.as_bytes());
            assert_eq!(heads.check(&Method::GET, &HeaderMap::new()).is_ok(), good, "{head:?}");
        }
    }

    #[test]
    fn lines_end_with_both() {
        for (head, good) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", false),
        ] {
            let heads = Heads::new(1 << 16);
            heads.saw(head.as_bytes());
            assert_eq!(heads.check(&Method::GET, &HeaderMap::new()).is_ok(), good, "{head:?}");
        }
    }
}
