use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Body, LogBatch, Problems, Request, Response};

/// A policy. One value of the type is one configured use; the gateway calls the hooks that
/// [`Plugin::HOOKS`] (or [`Plugin::subscription`]) names, each on the current request.
///
/// A hook that panics costs its request, and follows the operator's `on_error`.
pub trait Plugin: Sized + 'static {
    /// The `config` of the plugin in the gateway's configuration; an empty struct where there is
    /// nothing to set. `#[serde(deny_unknown_fields)]` turns a mistyped name into a problem report.
    type Settings: DeserializeOwned + JsonSchema;

    /// Every hook that some configuration of the plugin may use.
    const HOOKS: Hooks;

    /// Name of the module, `[a-z0-9][a-z0-9._-]*`. The crate's name by default.
    const NAME: Option<&'static str> = None;

    /// Semantic version. The crate's by default.
    const VERSION: Option<&'static str> = None;

    /// One line. The crate's `description` by default.
    const DESCRIPTION: Option<&'static str> = None;

    /// What the plugin asks for beyond the request itself; the operator grants it.
    const CAPABILITIES: &'static [Capability] = &[];

    /// The plugin sets the consumer or decides access. The gateway then refuses
    /// `on_error = "open"` for it: an authentication that failed must never let a request pass.
    const DECIDES_ACCESS: bool = false;

    /// Builds a configured use: checks the settings, resolves names, defines limits, opens sinks.
    ///
    /// # Errors
    /// Everything that is wrong with the settings, all at once.
    fn configure(settings: Self::Settings) -> Result<Self, Problems>;

    /// What this use wants to be called for. [`Plugin::HOOKS`] by default, with bodies in pieces.
    fn subscription(&self) -> Subscription {
        Subscription::to(Self::HOOKS)
    }

    /// The head of a request arrived. May change it, answer it, or let it pass.
    fn on_request(&self, request: &mut Request) -> Action {
        let _ = request;
        Action::Continue
    }

    /// A piece of the request's body, or all of it when the subscription holds it back.
    fn on_request_body(&self, request: &mut Request, body: &mut Body) -> Action {
        let _ = (request, body);
        Action::Continue
    }

    /// The head of the response is ready: from the upstream, a plugin or the gateway itself.
    fn on_response(&self, response: &mut Response) {
        let _ = response;
    }

    /// A piece of the response's body, or all of it when the subscription holds it back.
    fn on_response_body(&self, response: &mut Response, body: &mut Body) {
        let _ = (response, body);
    }

    /// Finished requests, in batches, off the request's path: there is no current request.
    fn on_log(&self, batch: &LogBatch) {
        let _ = batch;
    }
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hooks(u8);

impl Hooks {
    pub const NONE: Hooks = Hooks(0);
    pub const REQUEST: Hooks = Hooks(1);
    pub const REQUEST_BODY: Hooks = Hooks(1 << 1);
    pub const RESPONSE: Hooks = Hooks(1 << 2);
    pub const RESPONSE_BODY: Hooks = Hooks(1 << 3);
    pub const LOG: Hooks = Hooks(1 << 4);

    /// Both sets together; `|` for constants.
    pub const fn and(self, other: Hooks) -> Hooks {
        Hooks(self.0 | other.0)
    }

    pub const fn contains(self, other: Hooks) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Hooks {
    type Output = Hooks;

    fn bitor(self, other: Hooks) -> Hooks {
        self.and(other)
    }
}

/// What a module may ask for. Granted per configured use, by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Look up credentials and set the consumer.
    Credentials,
    /// Append to files.
    Files,
    /// Write to the gateway's standard output.
    StandardOutput,
}

/// What one configured use wants to be called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) hooks: Hooks,
    pub(crate) request_body_limit: u64,
    pub(crate) response_body_limit: u64,
}

impl Subscription {
    /// These hooks, with bodies in pieces as they come. A hook outside [`Plugin::HOOKS`] is
    /// refused by the gateway.
    pub const fn to(hooks: Hooks) -> Self {
        Self { hooks, request_body_limit: 0, response_body_limit: 0 }
    }

    /// Holds the request's body back and hands it over whole. One of more than `limit` bytes is
    /// answered with 413.
    pub const fn hold_request_body(mut self, limit: u64) -> Self {
        self.request_body_limit = limit;
        self
    }

    /// Holds the response's body back and hands it over whole. One of more than `limit` bytes is
    /// passed on untouched, without calling the hook.
    pub const fn hold_response_body(mut self, limit: u64) -> Self {
        self.response_body_limit = limit;
        self
    }
}

/// What becomes of the request after a hook.
#[must_use = "return it from the hook, otherwise the request goes on"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// On to the next plugin, or the upstream.
    Continue,
    /// The answer made by [`Request::answer`] or [`Request::refuse`] is sent.
    Respond(Prepared),
}

/// Proof that an answer was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared(pub(crate) ());
