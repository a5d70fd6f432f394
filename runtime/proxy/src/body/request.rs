use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{Attempt, BodyError, PipedBody};
use crate::error::ErrorKind;
use crate::fields;
use crate::framing::Heads;
use crate::timer::Idle;

/// The body that an upstream is sent. Most requests have none, and are moved often: what a body needs is boxed.
pub(crate) enum RequestBody {
    Empty,
    Whole(Option<Bytes>),
    /// The client's, as it comes.
    Streamed(Box<Streamed>),
    /// What hooks made of the client's.
    Piped(PipedBody),
    /// Any of these, kept for another attempt.
    Attempt(Attempt),
}

pub(crate) struct Streamed {
    incoming: Incoming,
    progress: Rc<Progress>,
    idle: Idle,
}

/// How far a client's body has come. The request's own task looks at it while the connection's
/// task reads.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes: Cell<u64>,
    most: Cell<Option<u64>>,
    done: Cell<bool>,
    /// It comes over HTTP/2.
    stream: bool,
    /// Somebody wants more of it and the client has not sent it yet.
    awaited: Cell<bool>,
    /// Told when nothing of it is to come any more.
    heads: RefCell<Option<Heads>>,
    failed: Cell<Option<ErrorKind>>,
}

impl RequestBody {
    /// The client's, `idle` from one piece to the next at most.
    pub(crate) fn streamed(incoming: Incoming, progress: Rc<Progress>, idle: Duration) -> RequestBody {
        RequestBody::Streamed(Box::new(Streamed { incoming, progress, idle: Idle::new(idle) }))
    }
}

impl Progress {
    pub(crate) fn bounded(most: Option<u64>, version: Version) -> Progress {
        let mut progress = Progress::default();
        progress.most.set(most);
        progress.stream = version == Version::HTTP_2;
        progress
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// What went wrong on the client's side, if something did.
    pub(crate) fn failure(&self) -> Option<ErrorKind> {
        self.failed.get()
    }

    /// Nothing of the body is to come any more.
    pub(crate) fn is_done(&self) -> bool {
        self.done.get()
    }

    /// The client keeps whoever reads the body waiting.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited.get()
    }

    pub(crate) fn await_more(&self) {
        self.awaited.set(true);
    }

    pub(crate) fn finish(&self) {
        self.done.set(true);
        self.heads.take().iter().for_each(Heads::over);
    }

    /// What the client sends behind the body, or once nobody reads it, is another head.
    pub(crate) fn before(&self, heads: Heads) {
        *self.heads.borrow_mut() = Some(heads);
    }

    pub(crate) fn fail(&self, kind: ErrorKind) {
        self.failed.set(Some(kind));
    }

    pub(crate) fn count(&self, bytes: usize) -> Result<(), BodyError> {
        let total = self.bytes.get() + bytes as u64;
        self.bytes.set(total);
        if self.most.get().is_some_and(|most| total > most) {
            self.fail(ErrorKind::BodyTooLarge);
            return Err(BodyError(ErrorKind::BodyTooLarge));
        }
        Ok(())
    }

    /// Checks what came of the client's body.
    pub(crate) fn note(
        &self,
        frame: Option<Result<Frame<Bytes>, hyper::Error>>,
        incoming: &Incoming,
    ) -> Option<Result<Frame<Bytes>, BodyError>> {
        self.awaited.set(false);
        match frame {
            Some(Ok(mut frame)) => {
                let counted = frame.data_ref().map_or(Ok(()), |data| self.count(data.len()));
                if let Some(trailers) = frame.trailers_mut() {
                    fields::cleanse_trailers(trailers);
                    self.finish();
                }
                Some(counted.map(|()| frame))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "client body broke off");
                self.fail(ErrorKind::ClientBody);
                Some(Err(BodyError(ErrorKind::ClientBody)))
            }
            // hyper takes a reset with NO_ERROR for the end, and that is not where the body should have ended.
            None if self.stream && !incoming.is_end_stream() => {
                self.fail(ErrorKind::ClientBody);
                Some(Err(BodyError(ErrorKind::ClientBody)))
            }
            None => {
                self.finish();
                None
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.heads.take().iter().for_each(Heads::over);
    }
}

impl Streamed {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Streamed { incoming, progress, idle } = self;
        match Pin::new(&mut *incoming).poll_frame(context) {
            Poll::Ready(frame) => {
                idle.progress();
                let noted = progress.note(frame, incoming);
                // hyper asks no further once the announced length has come.
                if incoming.is_end_stream() {
                    progress.finish();
                }
                Poll::Ready(noted)
            }
            Poll::Pending => {
                progress.await_more();
                ready!(idle.poll_waiting(context));
                progress.fail(ErrorKind::ClientTimeout);
                Poll::Ready(Some(Err(BodyError(ErrorKind::ClientTimeout))))
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            RequestBody::Streamed(streamed) => streamed.poll_next(context),
            RequestBody::Piped(piped) => piped.poll_next(context),
            RequestBody::Attempt(attempt) => Pin::new(attempt).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Whole(bytes) => bytes.is_none(),
            RequestBody::Streamed(streamed) => streamed.incoming.is_end_stream(),
            RequestBody::Piped(piped) => piped.is_over(),
            RequestBody::Attempt(attempt) => attempt.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            RequestBody::Streamed(streamed) => streamed.incoming.size_hint(),
            RequestBody::Piped(_) => SizeHint::default(),
            RequestBody::Attempt(attempt) => attempt.size_hint(),
        }
    }
}
