use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::{BodyError, PipedBody, early};
use crate::error::ErrorKind;
use crate::fields;
use crate::timer::Idle;
use crate::upstream::{ConnectionPool, InFlight, PooledConnection, Sender, Switched};
use crate::worker::Shared;

/// An upstream's body; its connection goes back to the pool at the end of it.
pub(crate) struct UpstreamBody {
    source: Source,
    /// Its length, if the head told one.
    exact: Option<u64>,
    idle: Idle,
    in_flight: InFlight,
}

pub(super) enum Source {
    /// Read from its connection, which has sent the whole request.
    Http1(PooledConnection),
    /// The request is still being sent.
    Early(PipedBody),
    Http2(Incoming, PooledConnection),
    Over,
}

impl UpstreamBody {
    /// `incoming` of HTTP/2; over HTTP/1.1 the connection itself has the body.
    pub(crate) fn new(
        worker: &Rc<Shared>,
        incoming: Option<Incoming>,
        connection: PooledConnection,
        idle: Duration,
        in_flight: InFlight,
    ) -> UpstreamBody {
        let (exact, source) = match (incoming, &connection.sender) {
            (Some(incoming), _) => (incoming.size_hint().exact(), Source::Http2(incoming, connection)),
            (None, Sender::Http1(http1)) => {
                let (exact, has_sent) = (http1.exact_size(), http1.has_sent());
                let source = if has_sent { Source::Http1(connection) } else { early::source(worker, connection, idle) };
                (exact, source)
            }
            (None, Sender::Http2(_)) => (Some(0), Source::Over),
        };
        UpstreamBody { source, exact, idle: Idle::new(idle), in_flight }
    }

    /// Its length, where that is known.
    pub(crate) fn exact_size(&self) -> Option<u64> {
        self.exact
    }

    /// What it comes on, for another protocol; `None` of HTTP/2, which does not change so.
    pub(crate) fn switch(self) -> Option<(Switched, InFlight)> {
        match self.source {
            Source::Http1(PooledConnection { sender: Sender::Http1(connection), .. }) => {
                Some((connection.switch(), self.in_flight))
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
            Poll::Pending if matches!(self.source, Source::Early(_)) => Poll::Pending,
            Poll::Pending => self.idle.poll_waiting(context).map(|()| Some(Err(BodyError(ErrorKind::UpstreamTimeout)))),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        match &self.source {
            Source::Http1(PooledConnection { sender: Sender::Http1(connection), .. }) => connection.is_over(),
            Source::Http1(_) | Source::Over => true,
            Source::Early(piped) => piped.is_over(),
            Source::Http2(incoming, _) => incoming.is_end_stream(),
        }
    }

    pub(crate) fn finish(&mut self, pool: &ConnectionPool) {
        match std::mem::replace(&mut self.source, Source::Over) {
            Source::Http1(connection) | Source::Http2(_, connection) => connection.give_back(pool),
            Source::Early(_) | Source::Over => {}
        }
    }
}

impl Source {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Source::Http1(PooledConnection { sender: Sender::Http1(connection), .. }) => {
                connection.poll_body(context).map_err(|broken| broke_off(&broken.detail))
            }
            Source::Early(piped) => piped.poll_next(context),
            Source::Http2(incoming, _) => match Pin::new(&mut *incoming).poll_frame(context) {
                // hyper takes some resets of a stream for its end (RFC 9113, 8.1).
                Poll::Ready(None) if !incoming.is_end_stream() => Poll::Ready(Some(Err(broke_off("it was reset")))),
                polled => polled.map_err(|error| broke_off(&error.to_string())),
            },
            Source::Http1(_) | Source::Over => Poll::Ready(None),
        }
    }
}

pub(super) fn broke_off(detail: &str) -> BodyError {
    tracing::debug!(detail, "upstream body broke off");
    BodyError(ErrorKind::UpstreamFailed)
}
