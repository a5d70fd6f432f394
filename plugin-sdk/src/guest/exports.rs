use std::cell::{Cell, RefCell};
use std::thread::LocalKey;

use super::bindings::{self, Guest};
use crate::host::types;
use crate::plugin::{Action, Hooks, Prepared};
use crate::{Body, Capability, LogBatch, Plugin, Problems, Request, Response, Subscription, log};

/// A crate that exports a plugin.
pub trait Module {
    type Plugin: Plugin;
    const PACKAGE: Package;
    fn uses() -> &'static LocalKey<Uses<Self::Plugin>>;
}

/// What Cargo knows of the crate.
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    pub description: &'static str,
}

/// The configured uses of one instance, by their ids in rising order: the gateway numbers them
/// upwards and never again, so most arrive at the end.
pub struct Uses<P>(RefCell<Vec<(u32, P)>>);

impl<P> Uses<P> {
    pub const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    fn insert(&self, id: u32, plugin: P) {
        let mut uses = self.0.borrow_mut();
        match uses.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => uses[at].1 = plugin,
            Err(at) => uses.insert(at, (id, plugin)),
        }
    }

    fn remove(&self, id: u32) {
        let mut uses = self.0.borrow_mut();
        if let Ok(at) = uses.binary_search_by_key(&id, |(id, _)| *id) {
            uses.remove(at);
        }
    }

    fn with<R>(&self, id: u32, hook: impl FnOnce(&P) -> R) -> R {
        let uses = self.0.borrow();
        let at = uses.binary_search_by_key(&id, |(id, _)| *id).expect("the host configures a use before it calls it");
        hook(&uses[at].1)
    }
}

impl<M: Module> Guest for M {
    fn describe() -> bindings::Manifest {
        report_panics();
        bindings::Manifest {
            name: M::Plugin::NAME.unwrap_or(M::PACKAGE.name).to_owned(),
            version: M::Plugin::VERSION.unwrap_or(M::PACKAGE.version).to_owned(),
            description: M::Plugin::DESCRIPTION.unwrap_or(M::PACKAGE.description).to_owned(),
            hooks: hooks(M::Plugin::HOOKS),
            capabilities: M::Plugin::CAPABILITIES.iter().map(capability).collect(),
            decides_access: M::Plugin::DECIDES_ACCESS,
            settings_schema: super::schema::<M::Plugin>(),
        }
    }

    fn configure(plugin: u32, settings: Vec<u8>) -> Result<bindings::Subscription, Vec<bindings::ConfigProblem>> {
        report_panics();
        let (configured, subscription) = super::configure::<M::Plugin>(&settings).map_err(problems)?;
        M::uses().with(|uses| uses.insert(plugin, configured));
        Ok(wanted(subscription))
    }

    fn release(plugin: u32) {
        M::uses().with(|uses| uses.remove(plugin));
    }

    fn on_request(plugin: u32) -> bindings::Action {
        call::<M, _>(plugin, |plugin| action(plugin.on_request(&mut Request::current())))
    }

    fn on_request_body(plugin: u32, end: bool) -> bindings::Action {
        call::<M, _>(plugin, |plugin| action(plugin.on_request_body(&mut Request::current(), &mut Body::current(end))))
    }

    fn on_response(plugin: u32) {
        call::<M, _>(plugin, |plugin| plugin.on_response(&mut Response::current()));
    }

    fn on_response_body(plugin: u32, end: bool) {
        call::<M, _>(plugin, |plugin| plugin.on_response_body(&mut Response::current(), &mut Body::current(end)));
    }

    fn on_log(plugin: u32, records: Vec<bindings::LogRecord>, texts: Vec<u8>) {
        call::<M, _>(plugin, |plugin| plugin.on_log(&LogBatch::new(records, texts)));
    }
}

fn call<M: Module, R>(id: u32, hook: impl FnOnce(&M::Plugin) -> R) -> R {
    M::uses().with(|uses| uses.with(id, hook))
}

/// A panic is a trap to the gateway, which knows nothing of its message: the author does want it.
fn report_panics() {
    thread_local! {
        static INSTALLED: Cell<bool> = const { Cell::new(false) };
    }
    if !INSTALLED.replace(true) {
        std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    }
}

fn action(action: Action) -> bindings::Action {
    match action {
        Action::Continue => bindings::Action::Continue,
        Action::Respond(Prepared(())) => bindings::Action::Respond,
    }
}

fn hooks(hooks: Hooks) -> types::Hooks {
    let pairs = [
        (Hooks::REQUEST, types::Hooks::REQUEST),
        (Hooks::REQUEST_BODY, types::Hooks::REQUEST_BODY),
        (Hooks::RESPONSE, types::Hooks::RESPONSE),
        (Hooks::RESPONSE_BODY, types::Hooks::RESPONSE_BODY),
        (Hooks::LOG, types::Hooks::LOG),
    ];
    pairs.into_iter().filter(|(ours, _)| hooks.contains(*ours)).fold(types::Hooks::empty(), |all, (_, one)| all | one)
}

fn capability(capability: &Capability) -> types::Capability {
    match capability {
        Capability::Credentials => types::Capability::Credentials,
        Capability::Files => types::Capability::Files,
        Capability::StandardOutput => types::Capability::StandardOutput,
    }
}

fn wanted(subscription: Subscription) -> bindings::Subscription {
    bindings::Subscription {
        hooks: hooks(subscription.hooks),
        request_body_limit: subscription.request_body_limit,
        response_body_limit: subscription.response_body_limit,
    }
}

fn problems(problems: Problems) -> Vec<bindings::ConfigProblem> {
    let convert = |problem: crate::Problem| bindings::ConfigProblem { path: problem.path, message: problem.message };
    problems.into_iter().map(convert).collect()
}
