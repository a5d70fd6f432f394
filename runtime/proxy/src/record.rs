//! What is written down of a request: once, when it is over, however it ended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Request, StatusCode, Version, header};
use hyper::body::Incoming;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tollgate_plugin_host::{CompiledChain, Exchange, FinishedRequest, Home, PluginUse, Run};

use crate::body::Progress;
use crate::buffered;
use crate::drain::{Open, OpenCount};
use crate::ending::Ending;
use crate::error::ErrorKind;
use crate::intake::Ends;
use crate::snapshot::Snapshot;
use crate::upstream::{ConnectionPool, Endpoint};
use crate::worker::Shared;

/// Follows a request; dropped at its end, it counts it and hands it to the plugins that log.
pub(crate) struct Record {
    account: Account,
    pub(crate) seat: Rc<Seat>,
    /// Where a hook leaves the exchange when its client goes away in the middle of it.
    home: Option<Arc<Home>>,
    started: Instant,
    version: Version,
    /// The client's connection can't serve another request.
    closing: bool,
    /// Its connection is told when the request is over, and how it ended.
    ends: Rc<Ends>,
    /// Of an HTTP/2 connection: this request's stream, open until all is sent.
    stream: Option<Open>,
}

/// What the log is told beside the exchange.
struct Account {
    worker: Rc<Shared>,
    /// Weak: a response that streams for a day must not keep yesterday's modules. `None` while it is not
    /// known which chain runs.
    chains: Option<SmallVec<[RanChain; 2]>>,
    upstream: Option<Arc<Endpoint>>,
    upstream_duration: Option<Duration>,
    attempts: u16,
    status: u16,
    request: Option<Rc<Progress>>,
    response_bytes: u64,
    complete: bool,
    /// Of the whole; zero until it is over.
    duration: Duration,
    /// When it was over, if it is written down later.
    ended: Option<SystemTime>,
}

/// A chain, and which of its links ran.
type RanChain = (Weak<CompiledChain>, u64);

/// Where the exchange sits between hooks. Body hooks of a streaming request and the hooks of its
/// response may want it at the same time: they take turns.
#[derive(Default)]
pub(crate) struct Seat {
    exchange: RefCell<Option<Box<Exchange>>>,
    /// The record was written: nobody puts the exchange back any more.
    closed: Cell<bool>,
    /// How many have come to wait, those that went away meanwhile included.
    awaited: Cell<usize>,
    freed: Notify,
    /// Of a request that was over while a body hook had its exchange: written down when that brings it back.
    left: RefCell<Option<Box<Account>>>,
}

impl Seat {
    /// `None` once the record is written.
    pub(crate) async fn take(&self) -> Option<Box<Exchange>> {
        while !self.closed.get() {
            if let Some(exchange) = self.exchange.borrow_mut().take() {
                return Some(exchange);
            }
            self.awaited.set(self.awaited.get() + 1);
            self.freed.notified().await;
            self.awaited.set(self.awaited.get() - 1);
        }
        None
    }

    pub(crate) fn put(&self, exchange: Box<Exchange>) {
        if let Some(account) = self.left.take() {
            return account.write_down(&exchange);
        }
        *self.exchange.borrow_mut() = Some(exchange);
        // Seldom is there anybody.
        if self.awaited.get() > 0 {
            self.freed.notify_one();
        }
    }

    fn close(&self) -> Option<Box<Exchange>> {
        self.closed.set(true);
        self.freed.notify_waiters();
        self.exchange.borrow_mut().take()
    }
}

impl Record {
    pub(crate) fn begin(worker: &Rc<Shared>, ends: &Rc<Ends>, version: Version) -> Box<Record> {
        worker.metrics.version(version);
        Box::new(Record {
            account: Account::of(worker),
            seat: Rc::default(),
            home: None,
            started: Instant::now(),
            version,
            closing: false,
            ends: Rc::clone(ends),
            stream: ends.streams.as_ref().map(OpenCount::open),
        })
    }

    /// What is wrong with the way the request came; its connection ends then.
    pub(crate) fn check_framing<B>(&mut self, request: &Request<B>) -> Result<(), ErrorKind> {
        let Some(heads) = &self.ends.heads else { return Ok(()) };
        let checked = heads.check(request.method(), request.headers());
        self.closing |= checked.is_err();
        checked
    }

    /// Hooks will have the exchange: one that is cut off gives it back here.
    pub(crate) fn house(&mut self, exchange: &mut Exchange) {
        exchange.live_in(self.home.get_or_insert_default());
    }

    /// The exchange, from its seat; a body hook may hold it for a moment.
    pub(crate) async fn exchange(&self) -> Box<Exchange> {
        self.seat.take().await.expect("a seat closes with its record")
    }

    pub(crate) fn follow(&mut self, run: &Run) {
        self.account.chains.get_or_insert_default().push((Arc::downgrade(run.chain()), run.active()));
    }

    /// Its chain is empty.
    pub(crate) fn follow_nobody(&mut self) {
        self.account.chains.get_or_insert_default();
    }

    pub(crate) fn follow_request(&mut self, progress: &Rc<Progress>) {
        self.account.request = Some(Rc::clone(progress));
    }

    /// The request is answered without its body: what is left of it is read, or its connection ends.
    /// A stream of HTTP/2 ends without harm to others.
    ///
    /// The exchange is in its seat from now on: the log wants it if the client goes away meanwhile.
    pub(crate) async fn discard(&mut self, incoming: Incoming, exchange: Box<Exchange>) {
        let expects_continue = exchange.request.headers.contains_key(header::EXPECT);
        self.seat.put(exchange);
        if self.stream.is_some() {
            return;
        }
        match (buffered::discard(incoming, expects_continue).await, &self.account.request) {
            (true, Some(progress)) => progress.finish(),
            (true, None) => {}
            (false, _) => self.closing = true,
        }
    }

    /// What is left of the request's body can't be read any more: its connection ends with the answer.
    pub(crate) fn abandon_body(&mut self) {
        self.closing |= self.leaves_body();
    }

    /// Something of the request's body was not read.
    fn leaves_body(&self) -> bool {
        self.account.request.as_ref().is_some_and(|progress| !progress.is_done())
    }

    /// The client is to be told that its connection ends. (Over HTTP/2 the connection itself says so.)
    pub(crate) fn is_last(&self) -> bool {
        self.stream.is_none() && (self.closing || self.account.worker.is_draining())
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.account.status = status.as_u16();
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn pool(&self) -> &ConnectionPool {
        &self.account.worker.pool
    }

    pub(crate) fn count_response(&mut self, bytes: usize) {
        self.account.response_bytes += bytes as u64;
    }

    pub(crate) fn complete(&mut self) {
        self.account.complete = true;
    }

    pub(crate) fn broke_off(&mut self, kind: ErrorKind) {
        self.account.worker.metrics.error(kind);
        // Any other version tells its client where the body should have ended.
        if self.version == Version::HTTP_10 {
            self.ends.ending.reset();
        }
    }

    /// How the connection is to end that changed to another protocol. (Of HTTP/2 it is a stream that
    /// changed, not the connection.)
    pub(crate) fn tunnel_ending(&self) -> Option<&Ending> {
        self.stream.is_none().then_some(&self.ends.ending)
    }

    /// One more time that the request is sent.
    pub(crate) fn attempted(&mut self) {
        self.account.attempts += 1;
    }

    pub(crate) fn attempts(&self) -> u16 {
        self.account.attempts
    }

    /// A target answered, after so long.
    pub(crate) fn reached(&mut self, endpoint: Arc<Endpoint>, duration: Duration) {
        self.account.upstream = Some(endpoint);
        self.account.upstream_duration = Some(duration);
    }

    pub(crate) fn upstream_duration(&self) -> Option<Duration> {
        self.account.upstream_duration
    }
}

impl Account {
    fn of(worker: &Rc<Shared>) -> Account {
        Account {
            worker: Rc::clone(worker),
            chains: None,
            upstream: None,
            upstream_duration: None,
            attempts: 0,
            status: 0,
            request: None,
            response_bytes: 0,
            complete: false,
            duration: Duration::ZERO,
            ended: None,
        }
    }

    fn write_down(&self, exchange: &Exchange) {
        let head = &exchange.request;
        let loggers = self.loggers(&head.route);
        if loggers.is_empty() {
            return;
        }
        let Account { worker, duration, ended, .. } = self;
        // Without a query there is nothing to mask.
        let snapshot = head.uri.query().map(|_| worker.snapshot());
        let secret_parameters = snapshot.as_deref().map_or(&[][..], Snapshot::secret_parameters);
        let client = head.client_text();
        let identity = exchange.identity.as_deref();
        let target = exchange.logged_target(secret_parameters);
        let now = ended.unwrap_or_else(SystemTime::now).duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = duration.as_micros() as u64;
        let finished = FinishedRequest {
            started_at: (now.as_micros() as u64).saturating_sub(micros),
            duration: micros,
            upstream_duration: self.upstream_duration.unwrap_or_default().as_micros() as u64,
            request_bytes: self.request.as_ref().map_or(0, |progress| progress.bytes()),
            response_bytes: self.response_bytes,
            status: self.status,
            attempts: self.attempts,
            aborted: !self.complete,
            request_id: head.id.to_str().unwrap_or_default(),
            client_address: &client,
            method: head.method.as_str(),
            scheme: head.scheme,
            host: head.authority.as_str(),
            target: &target,
            http_version: version(head.version),
            user_agent: head.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default(),
            route: &head.route,
            service: &head.service,
            upstream: self.upstream.as_ref().map_or("", |endpoint| &endpoint.display),
            consumer: identity.map_or("", |identity| &identity.consumer_name),
            fields: &exchange.log_fields,
        };
        for plugin in loggers {
            worker.plugins.log(&plugin, &finished);
        }
    }

    /// Who wants to be told: those of the chains that ran. Where a chain is gone, or there never was
    /// one, those who log on the route now.
    fn loggers(&self, route: &str) -> SmallVec<[Arc<PluginUse>; 2]> {
        let mut loggers = SmallVec::new();
        let mut complete = self.chains.is_some();
        for (chain, active) in self.chains.iter().flatten() {
            match chain.upgrade() {
                Some(chain) => loggers.extend(chain.loggers(*active).cloned()),
                None => complete = false,
            }
        }
        if !complete {
            loggers.clear();
            loggers.extend(self.worker.snapshot().loggers(route).cloned());
        }
        loggers
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(heads) = &self.ends.heads {
            match &self.account.request {
                Some(progress) if !progress.is_done() => progress.before(heads.clone()),
                _ => heads.over(),
            }
            if self.closing || self.leaves_body() {
                self.ends.ending.linger();
            }
        }
        let account = &mut self.account;
        account.duration = self.started.elapsed();
        account.worker.metrics.request(account.status, account.duration, account.upstream_duration);
        match self.seat.close().or_else(|| self.home.as_ref()?.take()) {
            Some(exchange) => account.write_down(&exchange),
            None => {
                account.ended = Some(SystemTime::now());
                let nothing = Account::of(&account.worker);
                *self.seat.left.borrow_mut() = Some(Box::new(std::mem::replace(account, nothing)));
            }
        }
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
