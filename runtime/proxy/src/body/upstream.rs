use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::{BodyError, PipedBody, early};
use crate::drain::OpenCount;
use crate::error::ErrorKind;
use crate::fields;
use crate::intake::Ends;
use crate::timer::Idle;
use crate::upstream::{ConnectionPool, InFlight, PooledConnection, Sender, Switched};
use crate::worker::Shared;

/// An upstream's body; its connection goes back to the pool at the end of it.
pub(crate) struct UpstreamBody {
    source: Source,
    /// Its length, if the head told one.
    exact: Option<u64>,
    idle: Idle,
}

pub(super) enum Source {
    /// Read from its connection, which has sent the whole request.
    Http1(PooledConnection, InFlight),
    /// The request is still being sent. With the bytes that are to come, if that is known.
    Early(PipedBody, Option<u64>),
    Http2 {
        incoming: Incoming,
        connection: PooledConnection,
        _in_flight: InFlight,
    },
    Over,
}

impl UpstreamBody {
    /// `incoming` of HTTP/2; over HTTP/1.1 the connection itself has the body. `ends`: whoever asked.
    pub(crate) fn new(
        worker: &Rc<Shared>,
        ends: &Ends,
        incoming: Option<Incoming>,
        connection: PooledConnection,
        idle: Duration,
        in_flight: InFlight,
    ) -> UpstreamBody {
        let (exact, source) = match (incoming, &connection.sender) {
            (Some(incoming), _) => {
                (incoming.size_hint().exact(), Source::Http2 { incoming, connection, _in_flight: in_flight })
            }
            (None, Sender::Http1(http1)) if http1.has_sent() => {
                (http1.exact_size(), Source::Http1(connection, in_flight))
            }
            (None, Sender::Http1(http1)) => {
                let stream = ends.streams.as_ref().map(OpenCount::open);
                (http1.exact_size(), early::source(worker, connection, idle, (in_flight, stream)))
            }
            (None, Sender::Http2(_)) => (Some(0), Source::Over),
        };
        UpstreamBody { source, exact, idle: Idle::new(idle) }
    }

    /// Its length, where that is known.
    pub(crate) fn exact_size(&self) -> Option<u64> {
        self.exact
    }

    /// What it comes on, for another protocol; `None` of HTTP/2, which does not change so.
    pub(crate) fn switch(self) -> Option<(Switched, InFlight)> {
        match self.source {
            Source::Http1(PooledConnection { sender: Sender::Http1(connection), .. }, in_flight) => {
                Some((connection.switch(), in_flight))
            }
            _ => None,
        }
    }

    /// The next piece; the connection goes back to the pool with the last one.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        pool: &ConnectionPool,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.source.poll_next(context) {
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
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Ready(None) => {
                self.finish(pool);
                Poll::Ready(None)
            }
            // Whoever sends the request as well looks after both.
            Poll::Pending if matches!(self.source, Source::Early(..)) => Poll::Pending,
            Poll::Pending => self.idle.poll_waiting(context).map(|()| Some(Err(BodyError(ErrorKind::UpstreamTimeout)))),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        match &self.source {
            Source::Http1(PooledConnection { sender: Sender::Http1(connection), .. }, _) => connection.is_over(),
            Source::Http1(..) | Source::Over => true,
            // hyper asks no further once the announced length has come.
            Source::Early(piped, left) => piped.is_over() || *left == Some(0),
            Source::Http2 { incoming, .. } => incoming.is_end_stream(),
        }
    }

    pub(crate) fn finish(&mut self, pool: &ConnectionPool) {
        match std::mem::replace(&mut self.source, Source::Over) {
            Source::Http1(connection, _) | Source::Http2 { connection, .. } => connection.give_back(pool),
            Source::Early(..) | Source::Over => {}
        }
    }
}

impl Source {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Source::Http1(PooledConnection { sender: Sender::Http1(connection), .. }, _) => {
                connection.poll_body(context).map_err(|broken| broke_off(broken.body, &broken.detail))
            }
            Source::Early(piped, left) => {
                let polled = piped.poll_next(context);
                if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, left) {
                    *left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
                }
                polled
            }
            Source::Http2 { incoming, .. } => match Pin::new(&mut *incoming).poll_frame(context) {
                // hyper takes some resets of a stream for its end (RFC 9113, 8.1).
                Poll::Ready(None) if !incoming.is_end_stream() => {
                    Poll::Ready(Some(Err(broke_off(None, "it was reset"))))
                }
                polled => polled.map_err(|error| broke_off(None, &error.to_string())),
            },
            Source::Http1(..) | Source::Over => Poll::Ready(None),
        }
    }
}

/// `request`: why the request's own body broke off, if that is the reason.
pub(super) fn broke_off(request: Option<ErrorKind>, detail: &str) -> BodyError {
    tracing::debug!(detail, "upstream body broke off");
    BodyError(request.unwrap_or(ErrorKind::UpstreamFailed))
}
