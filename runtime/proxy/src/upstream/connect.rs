//! Finds or opens a connection, and sends requests on it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use pin_project_lite::pin_project;
use tollgate_model::entity::{Protocol, Timeouts};

use super::dial::{self, ConnectFailure, Opened};
use super::pool::Sender;
use super::{ConnectionPool, Endpoint, PooledConnection};
use crate::body::RequestBody;
use crate::error::ErrorKind;
use crate::timer::within;

/// A request that was not answered.
pub(crate) struct SendFailure {
    pub(crate) kind: ErrorKind,
    /// Given back when not a byte of it was sent: it may be sent elsewhere.
    pub(crate) unsent: Option<Box<Request<RequestBody>>>,
    /// The target says that it did nothing with it (RFC 9113, 8.7): it may be sent elsewhere.
    pub(crate) refused: bool,
    /// The connection broke, not this request alone.
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

impl PooledConnection {
    /// Sends one request; done when the head of its response is here. No `async fn`: that would keep room for the
    /// request, which is on its way at once.
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Sent<impl Future<Output = Answered> + use<>, impl Future<Output = Answered> + use<>> {
        match &mut self.sender {
            Sender::Http1(sender) => Sent::Http1 { answer: sender.try_send_request(request) },
            Sender::Http2(stream) => Sent::Http2 { answer: stream.send(request) },
        }
    }
}

pub(super) type Answered = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

pin_project! {
    /// A request that waits for its answer.
    #[project = Waiting]
    pub(crate) enum Sent<A, B> {
        Http1 { #[pin] answer: A },
        Http2 { #[pin] answer: B },
    }
}

impl<A: Future<Output = Answered>, B: Future<Output = Answered>> Future for Sent<A, B> {
    type Output = Answered;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        match self.project() {
            Waiting::Http1 { answer } => answer.poll(context),
            Waiting::Http2 { answer } => answer.poll(context),
        }
    }
}

impl SendFailure {
    pub(crate) fn of(mut error: TrySendError<Request<RequestBody>>) -> SendFailure {
        let unsent = error.take_message().map(Box::new);
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
