use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{BodyError, PipedBody};
use crate::error::ErrorKind;
use crate::fields;
use crate::record::Record;
use crate::timer::Idle;
use crate::upstream::{ConnectionPool, InFlight, PooledConnection, Sender, Switched};

/// The body that a client is sent, with the record that is written when it is over.
pub(crate) struct ResponseBody {
    source: Source,
    /// Counts, and writes itself down when dropped. A tunnel's record is kept with the tunnel.
    record: Option<Box<Record>>,
}

enum Source {
    Empty,
    Whole(Option<Bytes>),
    Upstream(Box<UpstreamBody>),
    /// What hooks made of the upstream's.
    Piped(PipedBody),
    /// It broke off, and the client's connection was not told yet.
    Broken(BodyError),
}

/// An upstream's body; its connection goes back to the pool at the end of it.
pub(crate) struct UpstreamBody {
    /// Of HTTP/2. Over HTTP/1.1 the connection itself has it.
    incoming: Option<Incoming>,
    connection: Option<PooledConnection>,
    idle: Idle,
    in_flight: InFlight,
}

impl ResponseBody {
    /// Of a response whose record somebody else keeps.
    pub(crate) fn unrecorded() -> ResponseBody {
        ResponseBody { source: Source::Empty, record: None }
    }

    pub(crate) fn empty(mut record: Box<Record>) -> ResponseBody {
        record.complete();
        ResponseBody { source: Source::Empty, record: Some(record) }
    }

    pub(crate) fn whole(bytes: Bytes, mut record: Box<Record>) -> ResponseBody {
        if bytes.is_empty() {
            record.complete();
        }
        ResponseBody { source: Source::Whole((!bytes.is_empty()).then_some(bytes)), record: Some(record) }
    }

    pub(crate) fn upstream(mut body: Box<UpstreamBody>, mut record: Box<Record>) -> ResponseBody {
        if body.is_over() {
            body.finish(record.pool());
            record.complete();
        }
        ResponseBody { source: Source::Upstream(body), record: Some(record) }
    }

    pub(crate) fn piped(piped: PipedBody, record: Box<Record>) -> ResponseBody {
        ResponseBody { source: Source::Piped(piped), record: Some(record) }
    }
}

impl UpstreamBody {
    pub(crate) fn new(
        incoming: Option<Incoming>,
        connection: PooledConnection,
        idle: Duration,
        in_flight: InFlight,
    ) -> UpstreamBody {
        UpstreamBody { incoming, connection: Some(connection), idle: Idle::new(idle), in_flight }
    }

    /// Its length, where that is known.
    pub(crate) fn exact_size(&self) -> Option<u64> {
        match (&self.incoming, self.connection.as_ref().map(|connection| &connection.sender)) {
            (Some(incoming), _) => incoming.size_hint().exact(),
            (None, Some(Sender::Http1(connection))) => connection.exact_size(),
            _ => Some(0),
        }
    }

    /// What it comes on, for another protocol; `None` of HTTP/2, which does not change so.
    pub(crate) fn switch(self) -> Option<(Switched, InFlight)> {
        match self.connection?.sender {
            Sender::Http1(connection) => Some((connection.switch(), self.in_flight)),
            Sender::Http2(_) => None,
        }
    }

    /// The next piece; the connection goes back to the pool with the last one.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        pool: &ConnectionPool,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.poll_source(context) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.idle.progress();
                if let Some(trailers) = frame.trailers_mut() {
                    fields::cleanse_trailers(trailers);
                }
                if frame.is_trailers() || self.is_over() {
                    self.finish(pool);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(detail))) => {
                tracing::debug!(detail, "upstream body broke off");
                Poll::Ready(Some(Err(BodyError(ErrorKind::UpstreamFailed))))
            }
            // hyper takes some resets of a stream for its end (RFC 9113, 8.1).
            Poll::Ready(None) if self.was_reset() => Poll::Ready(Some(Err(BodyError(ErrorKind::UpstreamFailed)))),
            Poll::Ready(None) => {
                self.finish(pool);
                Poll::Ready(None)
            }
            Poll::Pending => self.idle.poll_waiting(context).map(|()| Some(Err(BodyError(ErrorKind::UpstreamTimeout)))),
        }
    }

    /// From the connection; an error is for the log.
    fn poll_source(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match (&mut self.incoming, self.connection.as_mut().map(|connection| &mut connection.sender)) {
            (Some(incoming), _) => Pin::new(incoming).poll_frame(context).map_err(|error| error.to_string()),
            (None, Some(Sender::Http1(connection))) => connection.poll_body(context).map_err(|broken| broken.detail),
            _ => Poll::Ready(None),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        match (&self.incoming, self.connection.as_ref().map(|connection| &connection.sender)) {
            (Some(incoming), _) => incoming.is_end_stream(),
            (None, Some(Sender::Http1(connection))) => connection.is_over(),
            _ => true,
        }
    }

    /// A stream of HTTP/2 that gives nothing any more, though its end never came.
    fn was_reset(&self) -> bool {
        self.connection.is_some() && self.incoming.as_ref().is_some_and(|incoming| !incoming.is_end_stream())
    }

    fn finish(&mut self, pool: &ConnectionPool) {
        if let Some(connection) = self.connection.take() {
            connection.give_back(pool);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(record) = &mut this.record else { return Poll::Ready(None) };
        let polled = match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Upstream(body) => body.poll_next(context, record.pool()),
            Source::Piped(piped) => piped.poll_next(context),
            Source::Broken(error) => Poll::Ready(Some(Err(*error))),
        };
        if let Poll::Ready(Some(Err(error))) = &polled
            && !matches!(this.source, Source::Broken(_))
        {
            // hyper sends nothing any more once it knows. What came before goes out first: its head, above all.
            this.source = Source::Broken(*error);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Poll::Ready(piece) = &polled {
            match piece {
                Some(Ok(frame)) => {
                    record.count_response(frame.data_ref().map_or(0, Bytes::len));
                    // hyper does not ask again after trailers.
                    if frame.is_trailers() || this.source.is_over() {
                        record.complete();
                    }
                }
                Some(Err(error)) => record.broke_off(error.0),
                None => record.complete(),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Source::Upstream(body) => body.exact_size().map_or_else(SizeHint::default, SizeHint::with_exact),
            Source::Piped(_) | Source::Broken(_) => SizeHint::default(),
        }
    }
}

impl Source {
    fn is_over(&self) -> bool {
        match self {
            Source::Empty => true,
            Source::Whole(bytes) => bytes.is_none(),
            Source::Upstream(body) => body.is_over(),
            Source::Piped(piped) => piped.is_over(),
            Source::Broken(_) => false,
        }
    }
}
