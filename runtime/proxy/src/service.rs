//! The story of a request, strictly forward.

use std::rc::Rc;
use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use tollgate_model::RouteMatch;
use tollgate_plugin_host::{BodyMode, CompiledChain, Exchange, Outcome, RequestHead, Run};

use crate::body::{Progress, RequestBody, ResponseBody};
use crate::error::ErrorKind;
use crate::forward::{self, Outbound};
use crate::intake::{self, Ends};
use crate::record::Record;
use crate::respond::{self, Answer, Asker};
use crate::snapshot::{RouteEntry, Snapshot};
use crate::timer::Idle;
use crate::upgrade::Upgrade;
use crate::worker::Shared;
use crate::{buffered, fields, finish};

/// Serves one request. What few requests need is boxed: the story of one has to be moved when it begins, all
/// that it could need included.
pub(crate) async fn handle(
    worker: Rc<Shared>,
    ends: Rc<Ends>,
    mut request: Request<Incoming>,
) -> Response<ResponseBody> {
    let mut record = Record::begin(&worker, &ends, request.version());
    let framed = record.check_framing(&request);
    let upgrade = Upgrade::wanted(&mut request);
    if let (Some(_), Some(heads)) = (&upgrade, &ends.heads) {
        heads.pause();
    }
    let (parts, incoming) = request.into_parts();
    let (mut head, taken_in) = intake::take_in(parts, &ends, &worker.config, &worker.ids);
    let snapshot = worker.snapshot();
    let route = match framed.and(taken_in).and_then(|()| routed(&snapshot, &mut head)) {
        Ok(Some(route)) => route,
        Ok(None) => return Box::pin(refused(respond::options(), head, incoming, record)).await,
        Err(kind) => {
            worker.metrics.error(kind);
            return Box::pin(refused(respond::error(kind, &head), head, incoming, record)).await;
        }
    };
    let directory = Arc::clone(&snapshot.directory);
    drop(snapshot);

    // Before the hooks: what a plugin adds, the client's `Connection` can't take away.
    fields::cleanse(&mut head.headers, ends.trusted);
    if let Some(upgrade) = &upgrade {
        upgrade.complete(&mut head.headers);
    }
    let mut call = Call { worker: &worker, route: &route, runs: Vec::new() };
    let mut exchange = Exchange::new(head, Arc::clone(&directory) as _);
    if route.has_plugins() {
        record.house(&mut exchange);
    }
    let progress = Rc::new(Progress::bounded(worker.config.body_size));
    record.follow_request(&progress);

    let (exchange, passed) = call.request_hooks(exchange, &directory, &mut record).await;
    let (mut exchange, ready) = match passed {
        Ok(()) if http_body::Body::is_end_stream(&incoming) => {
            progress.finish();
            (exchange, Ok(RequestBody::Empty))
        }
        Ok(()) => Box::pin(call.request_body(exchange, incoming, &progress, &record)).await,
        Err(stop) => {
            Box::pin(record.discard(incoming, &exchange.request.headers)).await;
            (exchange, Err(stop))
        }
    };
    let body = match ready {
        Ok(body) => body,
        Err(stop) => {
            let answer = stop.into_answer(&worker, &mut exchange);
            return Box::pin(finish::answer(&worker, &call.runs, exchange, answer, record)).await;
        }
    };
    let outbound = Outbound {
        body,
        progress,
        upgrade: upgrade.as_ref().map(|upgrade| upgrade.protocol.clone()),
        preserve_host: route.route.preserve_host,
    };
    record.seat.put(exchange);
    match forward::forward(&worker, &ends, &route.service, outbound, &mut record).await {
        Ok(forwarded) => {
            let idle = route.service.timeouts.idle;
            finish::forwarded(&worker, call.runs, forwarded, upgrade, idle, record).await
        }
        Err(kind) => {
            let mut exchange = record.exchange().await;
            let answer = Stop::Error(kind).into_answer(&worker, &mut exchange);
            Box::pin(finish::answer(&worker, &call.runs, exchange, answer, record)).await
        }
    }
}

/// Why a request is not forwarded.
pub(crate) enum Stop {
    /// A plugin prepared the answer.
    Answered,
    Error(ErrorKind),
}

/// A request whose route is known.
struct Call<'a> {
    worker: &'a Rc<Shared>,
    route: &'a RouteEntry,
    /// The chain's first part, and the consumer's once it is known.
    runs: Vec<Run>,
}

/// The route; `None` for a question about the gateway itself.
fn routed(snapshot: &Snapshot, head: &mut RequestHead) -> Result<Option<Arc<RouteEntry>>, ErrorKind> {
    if head.uri.path() == "*" {
        let asked = head.method == Method::OPTIONS;
        return if asked { Ok(None) } else { Err(ErrorKind::BadRequest("the request target is not valid")) };
    }
    let RouteMatch { route, matched_prefix } = snapshot.router.find(head).ok_or(ErrorKind::NoRoute)?;
    head.route = Arc::clone(&route.name);
    head.service = Arc::clone(&route.service.name);
    if route.route.strip_path && matched_prefix > 0 {
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
    head: RequestHead,
    incoming: Incoming,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    record.discard(incoming, &head.headers).await;
    let asker = Asker::of(&head);
    record.refuse(head);
    respond::send(answer, asker, record)
}

impl Call<'_> {
    /// The first part of the chain, then the consumer's.
    async fn request_hooks(
        &mut self,
        exchange: Box<Exchange>,
        directory: &crate::directory::ConsumerDirectory,
        record: &mut Record,
    ) -> (Box<Exchange>, Result<(), Stop>) {
        let (exchange, first) = self.part(exchange, &self.route.chain, record).await;
        if first.is_err() {
            return (exchange, first);
        }
        let second = exchange.identity.as_deref().and_then(|identity| directory.chain(identity));
        match second {
            Some(chain) => self.part(exchange, chain, record).await,
            None => (exchange, Ok(())),
        }
    }

    async fn part(
        &mut self,
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
        let (exchange, outcome) = self.worker.plugins.on_request(&run, exchange).await;
        self.runs.push(run);
        (exchange, Stop::unless_passed(outcome))
    }

    /// The body for the upstream, where there is one: untouched, held back for hooks, or through them piece by piece.
    async fn request_body(
        &self,
        mut exchange: Box<Exchange>,
        incoming: Incoming,
        progress: &Rc<Progress>,
        record: &Record,
    ) -> (Box<Exchange>, Result<RequestBody, Stop>) {
        let idle = self.route.service.timeouts.idle;
        let wanting: Vec<(&Run, BodyMode)> = self.runs.iter().map(|run| (run, run.request_body())).collect();
        let held = wanting.iter().filter_map(|(_, mode)| match mode {
            BodyMode::Buffered(most) => Some(*most),
            _ => None,
        });
        if let Some(most) = held.min() {
            let collected = buffered::collect(incoming, progress, most, idle, &self.worker.held).await;
            let (mut whole, share) = match collected {
                Ok(collected) => collected,
                Err(kind) => return (exchange, Err(Stop::Error(kind))),
            };
            for (run, _) in wanting.iter().filter(|(_, mode)| *mode != BodyMode::Untouched) {
                let outcome;
                (exchange, outcome, whole) = self.worker.plugins.on_request_body(run, exchange, whole, true).await;
                if let Err(stop) = Stop::unless_passed(outcome) {
                    return (exchange, Err(stop));
                }
            }
            exchange.request.headers.remove(http::header::CONTENT_LENGTH);
            return (exchange, Ok(RequestBody::Whole(Some(share.of(whole)))));
        }
        let streaming: Vec<Run> =
            wanting.iter().filter(|(_, mode)| *mode == BodyMode::Streamed).map(|(run, _)| (*run).clone()).collect();
        if streaming.is_empty() {
            return (
                exchange,
                Ok(RequestBody::Streamed { incoming, progress: Rc::clone(progress), idle: Idle::new(idle) }),
            );
        }
        exchange.request.headers.remove(http::header::CONTENT_LENGTH);
        let seat = Rc::clone(&record.seat);
        let piped = buffered::pipe_request(Rc::clone(self.worker), streaming, seat, incoming, Rc::clone(progress));
        (exchange, Ok(piped))
    }
}

impl Stop {
    fn unless_passed(outcome: Outcome) -> Result<(), Stop> {
        match outcome {
            Outcome::Continue => Ok(()),
            Outcome::Respond => Err(Stop::Answered),
            Outcome::Failed(error) => Err(Stop::Error(finish::plugin_error(&error))),
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
        let size = size_of_future(|(worker, ends, request)| handle(worker, ends, request));
        assert!(size <= 6 << 10, "{size} bytes");
    }
}
