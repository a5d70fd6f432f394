//! The hooks of a request, in order.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tollgate_model::{Chain, Condition, RequestFacts};

use crate::abi::Action;
use crate::error::HookError;
use crate::exchange::Exchange;
use crate::instance::Hook;
use crate::plugin::{PluginUse, Subscription};
use crate::prepare::{Degraded, Prepared};
use crate::worker::Worker;

/// A chain whose plugins are ready to be called. Immutable, shared by all workers.
pub struct CompiledChain {
    links: Vec<Link>,
    /// Which links want which hook, a bit a link.
    request: u64,
    request_body: u64,
    response: u64,
    response_body: u64,
    log: u64,
    /// Which links have a condition.
    conditional: u64,
}

struct Link {
    plugin: Arc<PluginUse>,
    when: Option<Condition>,
}

/// One request's way through a chain: which links run for it is decided once, when it arrives.
#[derive(Clone)]
pub struct Run {
    chain: Arc<CompiledChain>,
    active: u64,
}

/// How a chain's hooks ended.
#[derive(Debug)]
pub enum Outcome {
    Continue,
    /// A plugin answered; the answer is in the exchange.
    Respond,
    /// A hook failed and its policy is to fail the request.
    Failed(HookError),
}

/// What happens to a body because of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// No hook looks at it.
    Untouched,
    /// Hooks see the pieces as they come.
    Streamed,
    /// Held back up to so many bytes.
    Buffered(u64),
}

impl CompiledChain {
    /// Degraded when a plugin of the chain can't be served, whatever its `on_error`: that is for hooks
    /// that fail, and what never ran may be what decides access.
    pub fn compile(chain: &Chain, prepared: &Prepared) -> Result<Arc<CompiledChain>, Degraded> {
        if let Some(reason) = &chain.broken {
            return Err(Degraded(reason.as_str().into()));
        }
        let mut links = Vec::with_capacity(chain.links.len());
        for link in &chain.links {
            match prepared.plugins.get(&link.plugin.name) {
                Some(Ok(plugin)) => links.push(Link { plugin: Arc::clone(plugin), when: link.when.clone() }),
                Some(Err(reason)) => return Err(reason.clone()),
                None => return Err(Degraded(format!("plugin `{}` was not prepared", link.plugin.name).into())),
            }
        }
        if links.len() > LINKS {
            return Err(Degraded(format!("a chain has at most {LINKS} plugins, this one has {}", links.len()).into()));
        }
        let mask = |wants: fn(&Link) -> bool| {
            links.iter().enumerate().filter(|(_, link)| wants(link)).fold(0, |mask, (i, _)| mask | 1 << i)
        };
        Ok(Arc::new(CompiledChain {
            request: mask(|link| link.plugin.subscription().hooks.request),
            request_body: mask(|link| link.plugin.subscription().hooks.request_body),
            response: mask(|link| link.plugin.subscription().hooks.response),
            response_body: mask(|link| link.plugin.subscription().hooks.response_body),
            log: mask(|link| link.plugin.subscription().hooks.log),
            conditional: mask(|link| link.when.is_some()),
            links,
        }))
    }

    /// Uses that want the record of a request for which these links ran.
    pub fn loggers(&self, active: u64) -> impl Iterator<Item = &Arc<PluginUse>> {
        self.chosen(self.log & active).map(|(_, link)| &link.plugin)
    }

    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The uses in the chain, in order.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<PluginUse>> {
        self.links.iter().map(|link| &link.plugin)
    }
}

/// The same uses under the same conditions.
impl PartialEq for CompiledChain {
    fn eq(&self, other: &CompiledChain) -> bool {
        self.links.len() == other.links.len()
            && self.links.iter().zip(&other.links).all(|(a, b)| Arc::ptr_eq(&a.plugin, &b.plugin) && a.when == b.when)
    }
}

impl Run {
    /// Decides which links run for a request.
    pub fn begin(chain: Arc<CompiledChain>, facts: &impl RequestFacts) -> Run {
        let mut active = u64::MAX;
        for (i, link) in chain.chosen(chain.conditional) {
            if !link.when.as_ref().is_none_or(|when| when.holds(facts)) {
                active &= !(1 << i);
            }
        }
        Run { chain, active }
    }

    pub fn request_body(&self) -> BodyMode {
        self.body_mode(self.chain.request_body, |subscription| subscription.request_body_limit)
    }

    pub fn response_body(&self) -> BodyMode {
        self.body_mode(self.chain.response_body, |subscription| subscription.response_body_limit)
    }

    /// Which links run, for [`CompiledChain::loggers`] later on.
    pub fn active(&self) -> u64 {
        self.active
    }

    /// The chain itself, for keeping a weak hold on it.
    pub fn chain(&self) -> &Arc<CompiledChain> {
        &self.chain
    }

    fn body_mode(&self, mask: u64, limit: fn(&Subscription) -> u64) -> BodyMode {
        let mask = mask & self.active;
        if mask == 0 {
            return BodyMode::Untouched;
        }
        let limits =
            self.chain.chosen(mask).map(|(_, link)| limit(&link.plugin.subscription())).filter(|&most| most > 0);
        limits.min().map_or(BodyMode::Streamed, BodyMode::Buffered)
    }
}

impl Worker {
    /// The head of a request arrived.
    pub async fn on_request(&self, run: &Run, mut exchange: Box<Exchange>) -> (Box<Exchange>, Outcome) {
        for (_, link) in run.chain.chosen(run.chain.request & run.active) {
            let outcome;
            (exchange, outcome) = self.hook(&link.plugin, Hook::Request, exchange).await;
            match settled(&link.plugin, outcome, &mut exchange) {
                Outcome::Continue => {}
                done => return (exchange, done),
            }
        }
        (exchange, Outcome::Continue)
    }

    /// A piece of the request's body, or all of it. Gives back what is left of it.
    pub async fn on_request_body(
        &self,
        run: &Run,
        mut exchange: Box<Exchange>,
        mut piece: Bytes,
        end: bool,
    ) -> (Box<Exchange>, Outcome, Bytes) {
        for (_, link) in run.chain.chosen(run.chain.request_body & run.active) {
            let outcome;
            let hook = Hook::RequestBody { piece: piece.clone(), end };
            (exchange, outcome) = self.hook(&link.plugin, hook, exchange).await;
            piece = left(&mut exchange, outcome.is_ok(), piece);
            match settled(&link.plugin, outcome, &mut exchange) {
                Outcome::Continue => {}
                done => return (exchange, done, piece),
            }
        }
        (exchange, Outcome::Continue, piece)
    }

    /// The head of the response is ready. A failing hook with a closed policy stops the response.
    pub async fn on_response(&self, run: &Run, mut exchange: Box<Exchange>) -> (Box<Exchange>, Outcome) {
        for (_, link) in run.chain.chosen(run.chain.response & run.active) {
            let outcome;
            (exchange, outcome) = self.hook(&link.plugin, Hook::Response, exchange).await;
            match settled(&link.plugin, outcome.map(|_| Action::Continue), &mut exchange) {
                Outcome::Continue => {}
                done => return (exchange, done),
            }
        }
        (exchange, Outcome::Continue)
    }

    /// A piece of the response's body, or all of it. Gives back what is left of it.
    pub async fn on_response_body(
        &self,
        run: &Run,
        mut exchange: Box<Exchange>,
        mut piece: Bytes,
        end: bool,
    ) -> (Box<Exchange>, Outcome, Bytes) {
        for (_, link) in run.chain.chosen(run.chain.response_body & run.active) {
            let outcome;
            let hook = Hook::ResponseBody { piece: piece.clone(), end };
            (exchange, outcome) = self.hook(&link.plugin, hook, exchange).await;
            piece = left(&mut exchange, outcome.is_ok(), piece);
            match settled(&link.plugin, outcome.map(|_| Action::Continue), &mut exchange) {
                Outcome::Continue => {}
                done => return (exchange, done, piece),
            }
        }
        (exchange, Outcome::Continue, piece)
    }
}

impl CompiledChain {
    fn chosen(&self, mut mask: u64) -> impl Iterator<Item = (usize, &Link)> {
        std::iter::from_fn(move || {
            let index = mask.trailing_zeros() as usize;
            let link = self.links.get(index)?;
            mask &= mask - 1;
            Some((index, link))
        })
    }
}

/// Applies the use's policy to what its hook did.
fn settled(plugin: &PluginUse, outcome: Result<Action, HookError>, exchange: &mut Exchange) -> Outcome {
    match outcome {
        Ok(Action::Continue) => Outcome::Continue,
        Ok(Action::Respond) if exchange.response.answer.is_some() => Outcome::Respond,
        Ok(Action::Respond) => {
            // The plugin said that it answers and prepared nothing: the least it can mean.
            exchange.response.answer =
                Some(crate::exchange::PreparedAnswer::Body(StatusCode::NO_CONTENT, Bytes::new()));
            Outcome::Respond
        }
        Err(error) if plugin.fails_open() => {
            error.tell("request goes on", &exchange.request);
            Outcome::Continue
        }
        Err(error) => Outcome::Failed(error),
    }
}

/// What a body hook made of the piece; a failed one leaves it as it was.
fn left(exchange: &mut Exchange, done: bool, before: Bytes) -> Bytes {
    match exchange.piece.take() {
        Some(piece) if done => piece,
        _ => before,
    }
}

/// A bit each.
const LINKS: usize = 64;
