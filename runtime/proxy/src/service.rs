//! The story of a request, strictly forward.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response, header};
use hyper::body::{Body, Incoming};
use tollgate_model::RouteMatch;
use tollgate_plugin_host::{BodyMode, CompiledChain, Exchange, Outcome, RequestHead, Run};

use crate::body::{Progress, RequestBody, ResponseBody};
use crate::directory::ConsumerDirectory;
use crate::error::ErrorKind;
use crate::forward::{self, Errand};
use crate::intake::{self, Ends};
use crate::record::Record;
use crate::respond::{self, Answer, Asker};
use crate::snapshot::{RouteEntry, Snapshot};
use crate::upgrade::Upgrade;
use crate::worker::Shared;
use crate::{buffered, fields, finish};

/// The rest of a request's story, in a place of its own: a connection that is idle has no use for its many KiB.
pub(crate) type Story = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>>>>;

/// Serves one request. What need not wait is done at once: a story that begins later is shorter to move.
pub(crate) fn handle(worker: &Rc<Shared>, ends: &Rc<Ends>, mut request: Request<Incoming>) -> Story {
    let mut record = Record::begin(worker, ends, request.version());
    let framed = record.check_framing(&request);
    let upgrade = Upgrade::wanted(&mut request).map(Box::new);
    if let (Some(_), Some(heads)) = (&upgrade, &ends.heads) {
        heads.pause();
    }
    let (parts, incoming) = request.into_parts();
    let (mut exchange, taken_in) = intake::take_in(parts, ends, &worker.config, &worker.ids);
    let snapshot = worker.current();
    let route = match framed.and(taken_in).and_then(|()| routed(&snapshot, &mut exchange.request)) {
        Ok(Some(route)) => route,
        Ok(None) => return Box::pin(refused(respond::options(), exchange, incoming, record)),
        Err(kind) => {
            worker.metrics.error(kind);
            return Box::pin(refused(respond::error(kind, &exchange.request), exchange, incoming, record));
        }
    };

    // Before the hooks: what a plugin adds, the client's `Connection` can't take away.
    fields::cleanse(&mut exchange.request.headers, ends.trusted);
    if let Some(upgrade) = &upgrade {
        upgrade.complete(&mut exchange.request.headers);
    }
    let directory = route.has_plugins().then(|| Arc::clone(&snapshot.directory));
    if let Some(directory) = &directory {
        exchange.consult(Arc::clone(directory) as _);
        record.house(&mut exchange);
    }
    let progress = Rc::new(Progress::bounded(worker.config.body_size, exchange.request.version));
    record.follow_request(&progress);
    let (worker, ends) = (Rc::clone(worker), Rc::clone(ends));
    let call = Call { worker, ends, route, directory, runs: Vec::new(), upgrade, progress };
    Box::pin(call.serve(exchange, incoming, record))
}

/// Why a request is not forwarded.
pub(crate) enum Stop {
    /// A plugin prepared the answer.
    Answered,
    Error(ErrorKind),
}

/// A request whose route is known.
struct Call {
    worker: Rc<Shared>,
    ends: Rc<Ends>,
    route: Arc<RouteEntry>,
    /// Of the snapshot that the route is of; `None` where no hook runs.
    directory: Option<Arc<ConsumerDirectory>>,
    /// The chain's first part, and the consumer's once it is known.
    runs: Vec<Run>,
    upgrade: Option<Box<Upgrade>>,
    progress: Rc<Progress>,
}

/// The route; `None` for a question about the gateway itself.
fn routed(snapshot: &Snapshot, head: &mut RequestHead) -> Result<Option<Arc<RouteEntry>>, ErrorKind> {
    if head.uri.path() == "*" {
        let asked = head.method == Method::OPTIONS;
        return if asked { Ok(None) } else { Err(ErrorKind::BadRequest("the request target is not valid")) };
    }
    let RouteMatch { route, matched_prefix } = snapshot.router().find(head).ok_or(ErrorKind::NoRoute)?;
    head.route = Arc::clone(&route.name);
    head.service = Arc::clone(&route.service.name);
    if route.strip_path && matched_prefix > 0 {
        head.target = stripped(head, matched_prefix);
    }
    Ok(Some(Arc::clone(route)))
}

fn stripped(head: &RequestHead, prefix: usize) -> Option<http::uri::PathAndQuery> {
    let rest = &head.uri.path()[prefix..];
    let rest = if rest.is_empty() { "/" } else { rest };
    let text = match head.uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    text.try_into().ok()
}

async fn refused(
    answer: Answer,
    exchange: Box<Exchange>,
    incoming: Incoming,
    mut record: Box<Record>,
) -> Result<Response<ResponseBody>, Infallible> {
    let asker = Asker::of(&exchange.request);
    record.discard(incoming, exchange).await;
    Ok(respond::send(answer, asker, record))
}

impl Call {
    /// Hooks, the upstream, hooks. What few requests need is boxed.
    async fn serve(
        mut self,
        exchange: Box<Exchange>,
        incoming: Incoming,
        mut record: Box<Record>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let (exchange, passed) = self.request_hooks(exchange, &mut record).await;
        let (mut exchange, ready) = match passed {
            Ok(()) if incoming.is_end_stream() => {
                self.progress.finish();
                (exchange, Ok(RequestBody::Empty))
            }
            Ok(()) => Box::pin(self.request_body(exchange, incoming, &record)).await,
            Err(stop) => {
                Box::pin(record.discard(incoming, exchange)).await;
                (record.exchange().await, Err(stop))
            }
        };
        let body = match ready {
            Ok(body) => body,
            Err(stop) => {
                let answer = stop.into_answer(&self.worker, &mut exchange);
                return Ok(Box::pin(finish::answer(&self.worker, &self.runs, exchange, answer, record)).await);
            }
        };
        record.seat.put(exchange);
        let forwarded = match self.errand(&record) {
            Ok(errand) => forward::forward(errand, body, &mut record).await,
            Err(kind) => Err(kind),
        };
        match forwarded {
            Ok(forwarded) => Ok(finish::forwarded(&self.worker, self.runs, forwarded, self.upgrade, record).await),
            Err(kind) => {
                let mut exchange = record.exchange().await;
                let answer = Stop::Error(kind).into_answer(&self.worker, &mut exchange);
                Ok(Box::pin(finish::answer(&self.worker, &self.runs, exchange, answer, record)).await)
            }
        }
    }

    fn errand(&self, record: &Record) -> Result<Errand<'_>, ErrorKind> {
        let service = &self.route.service;
        Ok(Errand {
            worker: &self.worker,
            ends: &self.ends,
            service,
            balancer: service.balancer.as_ref().map_err(|_| ErrorKind::Degraded)?,
            progress: &self.progress,
            upgrade: self.upgrade.as_ref().map(|upgrade| &upgrade.protocol),
            preserve_host: self.route.preserve_host,
            // Without hooks it is still the same moment.
            started: if self.runs.is_empty() { record.started() } else { Instant::now() },
        })
    }

    /// The first part of the chain, then the consumer's.
    async fn request_hooks(
        &mut self,
        exchange: Box<Exchange>,
        record: &mut Record,
    ) -> (Box<Exchange>, Result<(), Stop>) {
        let Call { worker, route, directory, runs, .. } = self;
        let (exchange, first) = part(worker, runs, exchange, &route.chain, record).await;
        if first.is_err() {
            return (exchange, first);
        }
        let second = exchange.identity.as_deref().and_then(|identity| directory.as_ref()?.chain(identity));
        match second {
            Some(chain) => part(worker, runs, exchange, chain, record).await,
            None => (exchange, Ok(())),
        }
    }

    /// The body for the upstream, where there is one: untouched, held back for hooks, or through them piece by piece.
    async fn request_body(
        &self,
        mut exchange: Box<Exchange>,
        incoming: Incoming,
        record: &Record,
    ) -> (Box<Exchange>, Result<RequestBody, Stop>) {
        let (idle, progress) = (self.route.service.timeouts.idle, &self.progress);
        let wanting: Vec<(&Run, BodyMode)> = self.runs.iter().map(|run| (run, run.request_body())).collect();
        let held = wanting.iter().filter_map(|(_, mode)| match mode {
            BodyMode::Buffered(most) => Some(*most),
            _ => None,
        });
        if let Some(most) = held.min() {
            record.seat.put(exchange);
            let collected = buffered::collect(incoming, progress, most, idle, &self.worker.held).await;
            exchange = record.exchange().await;
            let (mut whole, share) = match collected {
                Ok(collected) => collected,
                Err(kind) => return (exchange, Err(Stop::Error(kind))),
            };
            for (run, _) in wanting.iter().filter(|(_, mode)| *mode != BodyMode::Untouched) {
                let outcome;
                (exchange, outcome, whole) = self.worker.plugins.on_request_body(run, exchange, whole, true).await;
                if let Err(stop) = Stop::unless_passed(outcome, &exchange.request) {
                    return (exchange, Err(stop));
                }
            }
            exchange.request.headers.remove(header::CONTENT_LENGTH);
            return (exchange, Ok(RequestBody::Whole(Some(share.of(whole)))));
        }
        let streaming: Vec<Run> =
            wanting.iter().filter(|(_, mode)| *mode == BodyMode::Streamed).map(|(run, _)| (*run).clone()).collect();
        if streaming.is_empty() {
            return (exchange, Ok(RequestBody::streamed(incoming, Rc::clone(progress), idle)));
        }
        exchange.request.headers.remove(header::CONTENT_LENGTH);
        let seat = Rc::clone(&record.seat);
        let piped = buffered::pipe_request(Rc::clone(&self.worker), streaming, seat, incoming, Rc::clone(progress));
        (exchange, Ok(piped))
    }
}

/// One part of a chain.
async fn part(
    worker: &Shared,
    runs: &mut Vec<Run>,
    exchange: Box<Exchange>,
    chain: &Result<Arc<CompiledChain>, tollgate_plugin_host::Degraded>,
    record: &mut Record,
) -> (Box<Exchange>, Result<(), Stop>) {
    let Ok(chain) = chain else { return (exchange, Err(Stop::Error(ErrorKind::Degraded))) };
    if chain.is_empty() {
        record.follow_nobody();
        return (exchange, Ok(()));
    }
    let run = Run::begin(Arc::clone(chain), &exchange.request);
    record.follow(&run);
    let (exchange, outcome) = worker.plugins.on_request(&run, exchange).await;
    runs.push(run);
    let passed = Stop::unless_passed(outcome, &exchange.request);
    (exchange, passed)
}

impl Stop {
    fn unless_passed(outcome: Outcome, request: &RequestHead) -> Result<(), Stop> {
        match outcome {
            Outcome::Continue => Ok(()),
            Outcome::Respond => Err(Stop::Answered),
            Outcome::Failed(error) => Err(Stop::Error(finish::plugin_error(&error, request))),
        }
    }

    pub(crate) fn into_answer(self, worker: &Shared, exchange: &mut Exchange) -> Answer {
        match self {
            Stop::Answered => respond::prepared(exchange),
            Stop::Error(kind) => {
                worker.metrics.error(kind);
                respond::error(kind, &exchange.request)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    /// It is moved when it begins, and it is memory of each request: what few need belongs into a box.
    #[test]
    fn the_story_of_a_request_is_short() {
        let size = size_of_future(|(call, exchange, incoming, record)| Call::serve(call, exchange, incoming, record));
        assert!(size <= 6 << 10, "{size} bytes");
    }
}
