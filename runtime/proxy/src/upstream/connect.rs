//! Finds or opens a connection, and sends requests on it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response, response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use pin_project_lite::pin_project;
use tollgate_model::entity::{Protocol, Timeouts};

use super::dial::{self, ConnectFailure, Opened};
use super::http1::Broken;
use super::{ConnectionPool, Endpoint, Http1, PooledConnection};
use crate::body::RequestBody;
use crate::error::ErrorKind;
use crate::fields;
use crate::timer::within;

/// A request that was not answered.
pub(crate) struct SendFailure {
    pub(crate) kind: ErrorKind,
    /// Its body, given back when not a byte was sent: it may be sent elsewhere.
    pub(crate) unsent: Option<RequestBody>,
    /// The target says that it did nothing with it (RFC 9113, 8.7): it may be sent elsewhere.
    pub(crate) refused: bool,
    /// The connection broke, not this request alone, and nothing had come of a response.
    pub(crate) lost: bool,
    pub(crate) detail: String,
}

impl ConnectionPool {
    /// A connection that is ready for a request.
    pub(crate) async fn connect(
        &self,
        endpoint: &Arc<Endpoint>,
        timeouts: &Timeouts,
        http1_only: bool,
    ) -> Result<PooledConnection, ConnectFailure> {
        if http1_only || endpoint.address().protocol == Protocol::Http1 {
            if let Some(idle) = self.take(endpoint) {
                return Ok(idle);
            }
            // Boxed, as what follows: requests on open connections need not have room for handshakes.
            return match Box::pin(dial::open(endpoint, timeouts, true, &self.open)).await? {
                Opened::Http1(connection) => Ok(connection),
                Opened::Http2(_) => Err(dial::failed("HTTP/1.1 was asked for")),
            };
        }
        // Others may wait for the same connections: the last of them must not wait for ever.
        Box::pin(within(timeouts.connect, self.multiplexed(endpoint, timeouts)))
            .await
            .unwrap_or_else(|_| Err(dial::too_late(timeouts)))
    }
}

/// What came of a request. The head has no fields of its connection alone, but for Upgrade with a 101; the body of a
/// response over HTTP/1.1 is read from its connection.
pub(crate) type Answered = Result<(response::Parts, Option<Incoming>), SendFailure>;

/// What HTTP/2 comes to.
pub(crate) type Answer = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

pin_project! {
    /// A request that waits for the head of its response. No `async fn`: that would keep room for the request,
    /// which is on its way.
    #[project = Waiting]
    pub(crate) enum Sent<'c, F> {
        Http1 { connection: &'c mut Http1 },
        Http2 { #[pin] answer: F },
    }
}

impl<F: Future<Output = Answer>> Future for Sent<'_, F> {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        match self.project() {
            Waiting::Http1 { connection } => match ready!(connection.poll_answer(context)) {
                Ok(parts) => Poll::Ready(Ok((parts, None))),
                Err(broken) => Poll::Ready(Err(SendFailure::http1(broken, connection.unsent()))),
            },
            Waiting::Http2 { answer } => match ready!(answer.poll(context)) {
                Ok(response) => {
                    let (mut parts, incoming) = response.into_parts();
                    fields::cleanse_response(&mut parts.headers);
                    Poll::Ready(Ok((parts, Some(incoming))))
                }
                Err(error) => Poll::Ready(Err(SendFailure::http2(error))),
            },
        }
    }
}

impl SendFailure {
    fn http1(broken: Broken, unsent: Option<RequestBody>) -> SendFailure {
        let Broken { silent, body, detail } = broken;
        let unsent = unsent.filter(|_| body.is_none());
        let lost = silent && body.is_none();
        SendFailure { kind: body.unwrap_or(ErrorKind::UpstreamFailed), unsent, refused: false, lost, detail }
    }

    fn http2(mut error: TrySendError<Request<RequestBody>>) -> SendFailure {
        let unsent = error.take_message().map(Request::into_body);
        let error = error.error();
        // The connection did not answer PINGs.
        let kind = if error.is_timeout() { ErrorKind::UpstreamTimeout } else { ErrorKind::UpstreamFailed };
        let lost = !http2_error(error).is_some_and(h2::Error::is_reset);
        SendFailure { kind, unsent, refused: was_refused(error), lost, detail: chain_text(error) }
    }
}

/// By REFUSED_STREAM, or by a GOAWAY that says this stream was too late.
fn was_refused(error: &hyper::Error) -> bool {
    http2_error(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away() || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
    })
}

fn http2_error(error: &hyper::Error) -> Option<&h2::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// An error with its causes.
fn chain_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
