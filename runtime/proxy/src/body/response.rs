use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{BodyError, PipedBody, UpstreamBody};
use crate::record::Record;

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
