use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::message::{TestRequest, TestResponse};
use super::record::{self, TestRecord};
use super::state::{Consumer, Current, Phase, State, enter};
use crate::guest;
use crate::log::Level;
use crate::plugin::{Action, Hooks};
use crate::{Body, Origin, Plugin, Problems, Request, Response, Subscription};

/// A gateway in memory, with one upstream that answers 200 unless told otherwise.
pub struct Gateway {
    state: Rc<RefCell<State>>,
    upstream: RefCell<TestResponse>,
}

/// One configured use of a plugin.
pub struct Configured<P> {
    pub plugin: P,
    pub subscription: Subscription,
}

/// A finished request.
#[derive(Debug)]
pub struct Exchange {
    /// What the upstream was sent; none when the request was answered before.
    pub upstream: Option<TestRequest>,
    /// What the client was sent.
    pub response: TestResponse,
    /// Name of the consumer that was set.
    pub consumer: Option<String>,
    /// What plugins added to the log record.
    pub log_fields: Vec<(String, String)>,
}

/// A line of the gateway's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
}

impl Gateway {
    #[expect(clippy::new_without_default, reason = "a test names what it makes")]
    pub fn new() -> Self {
        Self { state: Rc::new(RefCell::new(State::new())), upstream: RefCell::new(TestResponse::new(200)) }
    }

    /// A consumer with these API keys.
    pub fn add_consumer(&self, name: &str, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.state.borrow_mut().consumers.push(Consumer { name: name.to_owned(), keys });
    }

    /// What the upstream answers from now on.
    pub fn set_upstream(&self, response: TestResponse) {
        self.upstream.replace(response);
    }

    /// Configures the plugin as the gateway would, from JSON.
    ///
    /// # Errors
    /// What the operator would be told.
    pub fn configure<P: Plugin>(&self, settings: serde_json::Value) -> Result<Configured<P>, Problems> {
        let settings = settings.to_string();
        let (plugin, subscription) = enter(&self.state, Phase::Configure, || guest::configure(settings.as_bytes()))?;
        assert!(P::HOOKS.contains(subscription.hooks), "the subscription names a hook that HOOKS does not");
        Ok(Configured { plugin, subscription })
    }

    /// JSON Schema (2020-12) of the plugin's settings, as the gateway's operator sees it.
    pub fn settings_schema<P: Plugin>(&self) -> serde_json::Value {
        serde_json::from_str(&guest::schema::<P>()).expect("a schema is JSON")
    }

    /// Sends a request through the plugin to the upstream, and the response back through it.
    pub fn send<P: Plugin>(&self, configured: &Configured<P>, request: TestRequest) -> Exchange {
        self.begin(request);
        let answered = self.request_hooks(configured);
        let upstream = if answered.is_some() { None } else { Some(self.sent()) };
        self.begin_response(answered.unwrap_or_else(|| self.upstream.borrow().clone()));
        self.response_hooks(configured);
        self.finish(upstream)
    }

    /// Hands finished requests to the plugin's `on_log`, as one batch.
    pub fn log<P: Plugin>(&self, configured: &Configured<P>, records: &[TestRecord]) {
        let batch = record::batch(records);
        enter(&self.state, Phase::Log, || configured.plugin.on_log(&batch));
    }

    /// Moves both clocks on.
    pub fn advance(&self, time: Duration) {
        self.state.borrow_mut().now += time;
    }

    /// Sets the wall clock, as time since the Unix epoch.
    pub fn set_time(&self, since_epoch: Duration) {
        self.state.borrow_mut().now = since_epoch;
    }

    /// What was logged so far.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.state.borrow().log.clone()
    }

    /// What was written to a sink so far, such as `file:access.log`; empty when none was opened.
    pub fn sink(&self, target: &str) -> Vec<u8> {
        let state = self.state.borrow();
        state.sinks.iter().filter(|(found, _)| found == target).flat_map(|(_, content)| content.clone()).collect()
    }

    /// Sinks drop what they are given from now on, or take it again.
    pub fn set_sinks_full(&self, full: bool) {
        self.state.borrow_mut().sinks_full = full;
    }

    /// The store that counts goes away, or comes back.
    pub fn set_limiter_available(&self, available: bool) {
        self.state.borrow_mut().counters.available = available;
    }

    /// Permits in use of a limit, by the key that they are counted under (empty: all together).
    pub fn permits_used(&self, limit: &str, key: &str) -> u64 {
        let state = self.state.borrow();
        state.counters.used(limit, key.as_bytes(), state.now)
    }

    fn begin(&self, request: TestRequest) {
        let mut state = self.state.borrow_mut();
        let consumer = request.consumer.as_ref().map(|name| {
            let place = state.consumers.iter().position(|consumer| consumer.name == *name);
            place.unwrap_or_else(|| panic!("no consumer `{name}` was added to the gateway"))
        });
        state.exchange = Some(Current {
            request,
            request_sent: false,
            response: None,
            response_sent: false,
            prepared: None,
            collected: Vec::new(),
            consumer,
            context: Default::default(),
            log_fields: Vec::new(),
            piece: Vec::new(),
        });
    }

    /// The response, when the request does not go to the upstream.
    fn request_hooks<P: Plugin>(&self, configured: &Configured<P>) -> Option<TestResponse> {
        let Configured { plugin, subscription } = configured;
        if subscription.hooks.contains(Hooks::REQUEST) {
            let action = enter(&self.state, Phase::Request, || plugin.on_request(&mut Request::current()));
            if let Action::Respond(_) = action {
                return Some(self.prepared());
            }
        }
        if subscription.hooks.contains(Hooks::REQUEST_BODY) {
            return self.request_body(configured);
        }
        None
    }

    fn request_body<P: Plugin>(&self, configured: &Configured<P>) -> Option<TestResponse> {
        let pieces = std::mem::take(&mut self.state.borrow_mut().current().request.body);
        let limit = configured.subscription.request_body_limit;
        let pieces = match held(&pieces, limit) {
            Held::Pieces => pieces,
            Held::Whole(body) => vec![body],
            Held::TooLarge => return Some(TestResponse::error(Origin::Gateway, 413, "Request body too large")),
        };
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            let action = self.piece(Phase::RequestBody, piece, || {
                configured.plugin.on_request_body(&mut Request::current(), &mut Body::current(index + 1 == count))
            });
            let mut state = self.state.borrow_mut();
            let current = state.current();
            if let (Action::Respond(_), true) = (action, current.request_sent) {
                return Some(TestResponse::error(Origin::Gateway, 502, "The request broke off"));
            }
            if let Action::Respond(_) = action {
                drop(state);
                return Some(self.prepared());
            }
            current.request_sent |= limit == 0;
            let piece = std::mem::take(&mut current.piece);
            current.request.body.push(piece);
        }
        None
    }

    fn sent(&self) -> TestRequest {
        let mut state = self.state.borrow_mut();
        let current = state.current();
        current.request_sent = true;
        current.request.clone()
    }

    fn prepared(&self) -> TestResponse {
        let prepared = self.state.borrow_mut().current().prepared.take();
        prepared.expect("an `Action::Respond` is made by preparing an answer")
    }

    fn begin_response(&self, mut response: TestResponse) {
        let mut state = self.state.borrow_mut();
        let current = state.current();
        for change in current.collected.drain(..) {
            change.apply(&mut response.headers);
        }
        current.response = Some(response);
    }

    fn response_hooks<P: Plugin>(&self, configured: &Configured<P>) {
        let Configured { plugin, subscription } = configured;
        if subscription.hooks.contains(Hooks::RESPONSE) {
            enter(&self.state, Phase::Response, || plugin.on_response(&mut Response::current()));
        }
        if subscription.hooks.contains(Hooks::RESPONSE_BODY) {
            self.response_body(configured);
        }
    }

    fn response_body<P: Plugin>(&self, configured: &Configured<P>) {
        let limit = configured.subscription.response_body_limit;
        let pieces = self.with_response(|response| response.body.clone());
        let pieces = match held(&pieces, limit) {
            Held::Pieces => pieces,
            Held::Whole(body) => vec![body],
            Held::TooLarge => return,
        };
        let count = pieces.len();
        let mut body = Vec::with_capacity(count);
        for (index, piece) in pieces.into_iter().enumerate() {
            self.piece(Phase::ResponseBody, piece, || {
                let mut piece = Body::current(index + 1 == count);
                configured.plugin.on_response_body(&mut Response::current(), &mut piece);
            });
            let mut state = self.state.borrow_mut();
            let current = state.current();
            current.response_sent |= limit == 0;
            body.push(std::mem::take(&mut current.piece));
        }
        self.with_response(|response| response.body = body);
    }

    fn piece<R>(&self, phase: Phase, piece: Vec<u8>, hook: impl FnOnce() -> R) -> R {
        self.state.borrow_mut().current().piece = piece;
        enter(&self.state, phase, hook)
    }

    fn with_response<R>(&self, use_it: impl FnOnce(&mut TestResponse) -> R) -> R {
        let mut state = self.state.borrow_mut();
        use_it(state.current().response.as_mut().expect("the response began"))
    }

    fn finish(&self, upstream: Option<TestRequest>) -> Exchange {
        let mut state = self.state.borrow_mut();
        let current = state.exchange.take().expect("the request began");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Exchange {
            upstream,
            response: current.response.expect("the response began"),
            consumer: current.consumer.map(|place| state.consumers[place].name.clone()),
            log_fields: current.log_fields.into_iter().map(|(name, value)| (name, text(value))).collect(),
        }
    }
}

enum Held {
    Pieces,
    Whole(Vec<u8>),
    TooLarge,
}

/// A body as the subscription's limit has it. One without pieces stays so: there is nothing to
/// call a hook for.
fn held(pieces: &[Vec<u8>], limit: u64) -> Held {
    let body = pieces.concat();
    if limit == 0 || pieces.is_empty() {
        Held::Pieces
    } else if body.len() as u64 > limit {
        Held::TooLarge
    } else {
        Held::Whole(body)
    }
}
