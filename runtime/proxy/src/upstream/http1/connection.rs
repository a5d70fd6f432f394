use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{StatusCode, response};
use http_body::Frame;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::unconstrained;
use tokio_util::io::poll_read_buf;

use super::chunked::{EmptyLine, Malformed, Piece};
use super::head::{self, Expected, Framing};
use super::sending::{Announced, KEPT, SendError, Sending};
use super::{Stream, Switched};
use crate::body::{BodyError, RequestBody};
use crate::error::ErrorKind;
use crate::upstream::pool::OpenConnection;

/// A connection, and the request and response under way on it.
pub(crate) struct Http1 {
    stream: Stream,
    sending: Sending,
    /// What was read and belongs to nobody yet.
    read: BytesMut,
    /// Bytes to read at once: more for a target that fills what it is given.
    room: usize,
    /// It held more than an idle connection keeps.
    grew: bool,
    expected: Expected,
    receiving: Receiving,
    /// Something came since the request began.
    heard: bool,
    /// The target takes nothing more of the request.
    refuses: bool,
    /// The request's body broke off.
    body_failure: Option<ErrorKind>,
    /// Another request may follow, as far as is known.
    keeps: bool,
    _open: OpenConnection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    Head(EmptyLine),
    Body(Framing),
    /// The response is whole, or there is none to come.
    Nothing,
}

/// Why a request has no response, or no more of one.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Not a byte of the response came: the target may have closed before it saw the request.
    pub(crate) silent: bool,
    /// The request's own body broke off, for this reason.
    pub(crate) body: Option<ErrorKind>,
    /// For the log.
    pub(crate) detail: String,
}

impl Http1 {
    pub(crate) fn new(stream: Stream, open: OpenConnection) -> Http1 {
        Http1 {
            stream,
            sending: Sending::nothing(),
            read: BytesMut::new(),
            room: LEAST_ROOM,
            grew: false,
            expected: Expected::default(),
            receiving: Receiving::Nothing,
            heard: false,
            refuses: false,
            body_failure: None,
            keeps: true,
            _open: open,
        }
    }

    /// Whether nothing came since its last response: neither its end, nor bytes that nobody asked for.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let stream = &mut self.stream;
        // Not into its own buffer: an idle connection has no use for one. And for certain: a task that has done
        // much in one go is told that nothing is there.
        let look = poll_fn(|context| {
            let mut byte = [0];
            Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut byte))
        });
        pin!(unconstrained(look)).poll(&mut context).is_pending()
    }

    /// Where the head of the next request is written.
    pub(crate) fn head(&mut self) -> &mut BytesMut {
        self.sending.head()
    }

    /// The head is written. The request goes out while its answer is waited for.
    pub(crate) fn begin(&mut self, body: RequestBody, announced: Announced, expected: Expected) {
        self.sending.begin(body, announced);
        self.expected = expected;
        self.receiving = Receiving::Head(EmptyLine::default());
        self.heard = false;
    }

    /// Sends, and waits for the head of the response.
    pub(crate) fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<response::Parts, Broken>> {
        let sent = self.poll_send(context);
        let outcome = match self.poll_head(context) {
            Poll::Ready(Ok(parts)) => return Poll::Ready(Ok(parts)),
            Poll::Ready(Err(broken)) => Some(broken),
            Poll::Pending => None,
        };
        match (sent, outcome) {
            (Some(SendError::Body(BodyError(kind))), _) => Poll::Ready(Err(self.unfinished(kind))),
            (_, Some(broken)) => Poll::Ready(Err(broken)),
            (sent, None) => {
                if let Some(SendError::Connection(error)) = sent {
                    // It may still say why in an answer.
                    tracing::debug!(%error, "target takes no more of a request");
                }
                Poll::Pending
            }
        }
    }

    /// The next piece of the response's body; what is left of the request is sent meanwhile.
    pub(crate) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let _ = self.poll_send(context);
        if let Some(kind) = self.body_failure {
            self.receiving = Receiving::Nothing;
            return Poll::Ready(Some(Err(self.unfinished(kind))));
        }
        loop {
            match self.piece() {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::Partial) => {}
                Err(Malformed(detail)) => return Poll::Ready(Some(Err(self.broken(detail)))),
            }
            match ready!(self.poll_read(context)) {
                // The reset that ended its taking of the request may be the end of this as well.
                Ok(0) if self.receiving == Receiving::Body(Framing::Close) && !self.refuses => {
                    self.receiving = Receiving::Nothing;
                }
                Ok(0) => return Poll::Ready(Some(Err(self.broken("it closed in the middle of its response")))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(self.broken(error)))),
            }
        }
    }

    /// Sends on what is left of a request whose response is whole.
    pub(crate) fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let _ = self.poll_send(context);
        if self.sending.done { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The request is sent, or nothing more of it will be.
    pub(crate) fn has_sent(&self) -> bool {
        self.sending.done
    }

    /// Bytes of requests that it has sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sending.sent
    }

    /// The response is whole.
    pub(crate) fn is_over(&self) -> bool {
        self.receiving == Receiving::Nothing
    }

    /// Bytes of the body that are to come, if that is known.
    pub(crate) fn exact_size(&self) -> Option<u64> {
        match self.receiving {
            Receiving::Body(Framing::Length(left)) => Some(left),
            Receiving::Nothing => Some(0),
            _ => None,
        }
    }

    /// Whether the next request may use it.
    pub(crate) fn can_be_kept(&self) -> bool {
        self.keeps && self.is_over() && self.sending.done && self.read.is_empty()
    }

    /// Waits for the next request, with little memory.
    pub(crate) fn rest(&mut self) {
        self.sending.rest();
        // Not by its capacity: that is less than its memory once something was taken from it.
        if std::mem::take(&mut self.grew) {
            (self.read, self.room) = (BytesMut::new(), LEAST_ROOM);
        }
    }

    /// It carries another protocol from now on.
    pub(crate) fn switch(self) -> Switched {
        Switched::new(self.read.freeze(), self.stream)
    }

    /// The body of the request, if the target can't have seen any of it.
    pub(crate) fn unsent(&mut self) -> Option<RequestBody> {
        self.sending.untouched()
    }

    /// Sends as far as the target takes it; says once why it can't be gone on with.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Option<SendError> {
        if self.sending.done {
            return None;
        }
        let Poll::Ready(Err(error)) = self.sending.poll(&mut self.stream, context) else { return None };
        self.keeps = false;
        match &error {
            SendError::Connection(_) => self.refuses = true,
            SendError::Body(BodyError(kind)) => self.body_failure = Some(*kind),
        }
        if self.sending.touched {
            self.sending.give_up();
        }
        Some(error)
    }

    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<response::Parts, Broken>> {
        loop {
            let Receiving::Head(empty_line) = &mut self.receiving else {
                return Poll::Ready(Err(self.broken(NO_HEAD)));
            };
            match head::next(&mut self.read, empty_line, self.expected) {
                // It answers somebody who never asked, as those do that close an idle connection with a 408.
                Ok(Some(_)) if !self.sending.touched => {
                    let broken = self.broken("it answered before it had anything of the request");
                    return Poll::Ready(Err(Broken { silent: true, ..broken }));
                }
                Ok(Some(head)) => {
                    let switches = head.parts.status == StatusCode::SWITCHING_PROTOCOLS;
                    if switches && !self.sending.done {
                        return Poll::Ready(Err(self.broken("it changes the protocol before it has the request")));
                    }
                    self.keeps &= head.keeps && !switches;
                    self.receiving = match head.framing {
                        Framing::Length(0) => Receiving::Nothing,
                        framing => Receiving::Body(framing),
                    };
                    return Poll::Ready(Ok(head.parts));
                }
                Ok(None) => {}
                Err(Malformed(detail)) => return Poll::Ready(Err(self.broken(detail))),
            }
            let why = match ready!(self.poll_read(context)) {
                Ok(0) => "it closed without an answer".to_owned(),
                Ok(_) => continue,
                Err(error) => error.to_string(),
            };
            return Poll::Ready(Err(Broken { silent: !self.heard, ..self.broken(why) }));
        }
    }

    /// The next piece of the body from what was read.
    fn piece(&mut self) -> Result<Piece, Malformed> {
        let Receiving::Body(framing) = &mut self.receiving else { return Ok(Piece::End) };
        let piece = match framing {
            Framing::Chunked(chunked) => chunked.next(&mut self.read)?,
            _ if self.read.is_empty() => Piece::Partial,
            Framing::Length(left) => {
                let length = (*left).min(self.read.len() as u64);
                *left -= length;
                Piece::Data(self.read.split_to(length as usize).freeze())
            }
            Framing::Close => Piece::Data(self.read.split().freeze()),
        };
        if matches!(piece, Piece::End | Piece::Trailers(_)) || self.receiving == Receiving::Body(Framing::Length(0)) {
            self.receiving = Receiving::Nothing;
        }
        Ok(piece)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // A small response more or less has room in what is left; a large one is not to be read in crumbs.
        let least = if self.room > LEAST_ROOM { self.room / 2 } else { LEAST_ROOM / 4 };
        if self.read.capacity() - self.read.len() < least {
            self.read.reserve(self.room);
        }
        let room = self.read.capacity() - self.read.len();
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), context, &mut self.read))?;
        self.heard |= read > 0;
        self.grew |= self.read.len() > KEPT || self.room > KEPT;
        if read == room {
            self.room = MOST_ROOM.min(2 * self.room);
        }
        Poll::Ready(Ok(read))
    }

    fn broken(&mut self, detail: impl ToString) -> Broken {
        self.keeps = false;
        self.receiving = Receiving::Nothing;
        Broken { silent: false, body: None, detail: detail.to_string() }
    }

    fn unfinished(&self, kind: ErrorKind) -> Broken {
        Broken { silent: !self.heard, body: Some(kind), detail: kind.message().to_owned() }
    }
}

const NO_HEAD: &str = "no response is expected";
const LEAST_ROOM: usize = KEPT;
const MOST_ROOM: usize = 64 << 10;
