//! Sends a request upstream and gets the head of its response.

mod head;
mod retry;

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, response};
use tollgate_model::entity::{Protocol, RetryOn};

use self::retry::Attempts;
use crate::body::{Progress, RequestBody, Retained, UpstreamBody};
use crate::buffered;
use crate::error::ErrorKind;
use crate::intake::Ends;
use crate::record::Record;
use crate::snapshot::ServiceEntry;
use crate::timer::{Elapsed, Idle};
use crate::upstream::{Balancer, Chosen, InFlight, PooledConnection};
use crate::worker::Shared;

/// What an upstream answered, and the body with the connection it comes on.
pub(crate) struct Forwarded {
    pub(crate) head: response::Parts,
    pub(crate) body: Box<UpstreamBody>,
}

/// What stays the same from attempt to attempt.
pub(crate) struct Errand<'a> {
    pub(crate) worker: &'a Rc<Shared>,
    pub(crate) ends: &'a Ends,
    pub(crate) service: &'a ServiceEntry,
    pub(crate) balancer: &'a Balancer,
    pub(crate) progress: &'a Progress,
    /// The protocol that the client wants to change to.
    pub(crate) upgrade: Option<&'a HeaderValue>,
    pub(crate) preserve_host: bool,
    /// When it began.
    pub(crate) started: Instant,
}

/// Chooses targets until one answers. Without a policy of the service only what was never sent, or is
/// safe to repeat on a connection that turned out closed, is sent again.
pub(crate) async fn forward(
    errand: Errand<'_>,
    body: RequestBody,
    record: &mut Record,
) -> Result<Forwarded, ErrorKind> {
    let Errand { worker, service, balancer, started, .. } = errand;
    let mut attempts = Attempts::begin(worker, service);
    let mut body = Sending::new(body, attempts.are_several(), service);
    let mut last = ErrorKind::NoTarget;
    while let Some(target) = attempts.target(balancer) {
        record.attempted();
        let outcome = errand.attempt(&target, &attempts, &mut body, record).await;
        if !matches!(outcome, Outcome::Answered(_)) {
            body.recall();
        }
        let (kind, again) = match outcome {
            Outcome::Answered(forwarded) => {
                body.let_go();
                record.reached(target.endpoint, started.elapsed());
                return Ok(forwarded);
            }
            Outcome::Unreachable(kind) => (kind, attempts.after_unreachable(target.endpoint, balancer).await),
            Outcome::Unsent(kind) => (kind, attempts.after_unsent()),
            Outcome::Wanted(kind) => (kind, attempts.again(target.endpoint, balancer).await),
            Outcome::Failed(kind) => (kind, false),
        };
        last = kind;
        if !again {
            break;
        }
    }
    Err(last)
}

/// What came of one attempt.
enum Outcome {
    Answered(Forwarded),
    /// No connection could be made.
    Unreachable(ErrorKind),
    /// The target did nothing with it.
    Unsent(ErrorKind),
    /// Another attempt is wanted, and granted.
    Wanted(ErrorKind),
    Failed(ErrorKind),
}

impl Errand<'_> {
    async fn attempt(&self, target: &Chosen, attempts: &Attempts<'_>, body: &mut Sending, record: &Record) -> Outcome {
        let Errand { worker, service, progress, .. } = self;
        let endpoint = &target.endpoint;
        let mut connection = match worker.pool.connect(endpoint, &service.timeouts, self.upgrade.is_some()).await {
            Ok(connection) => connection,
            Err(failure) => {
                tracing::warn!(target = &*endpoint.display, detail = failure.detail, "upstream connection failed");
                self.failed(target, RetryOn::ConnectFailure);
                return Outcome::Unreachable(failure.kind);
            }
        };
        let in_flight = InFlight::begin(Arc::clone(endpoint));
        let mut exchange = record.exchange().await;
        exchange.request.sent = true;
        let method = exchange.request.method.clone();
        // A look at the clock less for most requests: those that did not wait for a connection.
        let at_once = connection.reused && endpoint.address().protocol == Protocol::Http1 && record.attempts() == 1;
        let sent = if at_once { self.started } else { Instant::now() };
        connection.used = sent;
        let body_now = body.next(&connection);
        let PooledConnection { sender, timer, .. } = &mut connection;
        let answer = head::send(self, &exchange, endpoint, sender, body_now);
        record.seat.put(exchange);
        let answer = match answer {
            Ok(answer) => pin!(answer),
            Err(kind) => return Outcome::Failed(kind),
        };
        timer.start_over_at(sent, service.response_patience());
        let outcome = waited(timer, service.response_patience(), progress, answer).await;
        let again = |on, body: &Sending| attempts.may_repeat(&method) && body.can_repeat() && attempts.granted(on);
        let (kind, on) = match outcome {
            Ok(Ok((head, incoming))) => {
                if self.balancer.answered(target, head.status) {
                    worker.metrics.ejections.add(1);
                }
                let wanted = attempts.are_several().then(|| RetryOn::of_status(head.status.as_u16())).flatten();
                let wanted = wanted.is_some_and(|on| again(on, body));
                let body = Box::new(UpstreamBody::new(
                    worker,
                    self.ends,
                    incoming,
                    connection,
                    service.timeouts.idle,
                    in_flight,
                ));
                if wanted {
                    set_aside(worker, body);
                    return Outcome::Wanted(ErrorKind::UpstreamFailed);
                }
                return Outcome::Answered(Forwarded { head, body });
            }
            Ok(Err(failure)) => {
                if let Some(kind) = progress.failure() {
                    return Outcome::Failed(kind);
                }
                tracing::debug!(target = &*endpoint.display, detail = failure.detail, "request failed upstream");
                // The target closed a connection that had been kept, just as this request went out.
                let was_closed = connection.reused && failure.lost;
                let stale = was_closed && method.is_idempotent() && body.can_repeat();
                if was_closed {
                    worker.pool.distrust(endpoint, sent);
                }
                if body.back(failure.unsent, failure.refused) || stale {
                    return Outcome::Unsent(failure.kind);
                }
                // A kept connection that was closed says nothing of its target.
                if !was_closed {
                    self.failed(target, RetryOn::Reset);
                }
                (failure.kind, RetryOn::Reset)
            }
            // Whoever kept us waiting: the client with its body, or the upstream.
            Err(Elapsed) if progress.is_awaited() => {
                return Outcome::Failed(progress.failure().unwrap_or(ErrorKind::ClientTimeout));
            }
            Err(Elapsed) => {
                connection.suspect(sent);
                self.failed(target, RetryOn::Timeout);
                (progress.failure().unwrap_or(ErrorKind::UpstreamTimeout), RetryOn::Timeout)
            }
        };
        if again(on, body) { Outcome::Wanted(kind) } else { Outcome::Failed(kind) }
    }

    fn failed(&self, target: &Chosen, on: RetryOn) {
        if self.balancer.failed(target, on) {
            self.worker.metrics.ejections.add(1);
        }
    }
}

/// Reads what is left of an answer that nobody gets, so that its connection can be kept.
fn set_aside(worker: &Rc<Shared>, body: Box<UpstreamBody>) {
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move { buffered::discard_response(body, &worker).await });
}

/// The body of a request on its way.
enum Sending {
    /// Sent as it is; here until it is sent.
    Once(Option<RequestBody>),
    /// There is none.
    Empty,
    Retained(Retained),
}

impl Sending {
    fn new(body: RequestBody, several: bool, service: &ServiceEntry) -> Sending {
        match body {
            RequestBody::Empty => Sending::Empty,
            body if several => Sending::Retained(Retained::new(body, service.retries().body_size)),
            body => Sending::Once(Some(body)),
        }
    }

    fn next(&mut self, connection: &PooledConnection) -> RequestBody {
        if let Sending::Once(body) = self
            && connection.is_http2()
            && let Some(body) = body.take()
        {
            // A target may refuse a stream after its body began.
            *self = Sending::Retained(Retained::new(body, REFUSED_BODY));
        }
        match self {
            Sending::Empty => RequestBody::Empty,
            Sending::Once(body) => body.take().unwrap_or(RequestBody::Empty),
            Sending::Retained(body) => body.attempt(),
        }
    }

    /// Whether a request that had no effect can be sent again, given what came back of it.
    fn back(&mut self, unsent: Option<RequestBody>, refused: bool) -> bool {
        match (self, unsent) {
            (Sending::Empty, unsent) => refused || unsent.is_some(),
            (Sending::Once(body), Some(unsent)) => {
                *body = Some(unsent);
                true
            }
            (Sending::Once(_), None) => false,
            (Sending::Retained(body), unsent) => (refused || unsent.is_some()) && body.can_repeat(),
        }
    }

    /// Whether it is all there, though it was sent.
    fn can_repeat(&self) -> bool {
        match self {
            Sending::Empty => true,
            Sending::Once(_) => false,
            Sending::Retained(body) => body.can_repeat(),
        }
    }

    fn recall(&self) {
        if let Sending::Retained(body) = self {
            body.recall();
        }
    }

    fn let_go(&self) {
        if let Sending::Retained(body) = self {
            body.let_go();
        }
    }
}

/// Waits for the response's head with a timer that runs already: its time counts from the last progress of the
/// request's body.
async fn waited<T>(
    timer: &mut Idle,
    patience: Duration,
    progress: &Progress,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    let mut seen = progress.bytes();
    loop {
        match timer.bound(work.as_mut()).await {
            Ok(done) => return Ok(done),
            Err(Elapsed) if progress.bytes() == seen => return Err(Elapsed),
            Err(Elapsed) => {
                seen = progress.bytes();
                timer.start_over(patience);
            }
        }
    }
}

/// Bytes of a body that are kept until HTTP/2 can't refuse it any more.
const REFUSED_BODY: u64 = 64 << 10;
