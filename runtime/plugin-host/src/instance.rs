//! One instance of a module: a store, its exports, and how a call into it is bounded.

use std::collections::HashSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use tokio::time::Sleep;
use wasmtime::{Store, Trap, TypedFunc, UnknownImportError, UpdateDeadline, WasmParams, WasmResults};

use crate::abi::{Action, ConfigProblem};
use crate::config::HookLimits;
use crate::engine;
use crate::error::{CpuExceeded, HookError, HookErrorKind};
use crate::exchange::Exchange;
use crate::exports::Exports;
use crate::guest::{Guest, Phase};
use crate::host::Services;
use crate::module::ModuleGeneration;
use crate::plugin::{PluginUse, Subscription};
use crate::ports::sink::Sink;
use crate::processor::ProcessorTime;

pub(crate) struct Instance {
    store: Store<Guest>,
    exports: Exports,
    configured: HashSet<u32, RandomState>,
    /// Where in the pool's history of swaps this instance has let go of what is gone.
    pub(crate) swept: u64,
}

/// The hook to call and what it is called with.
#[derive(Clone, Debug)]
pub(crate) enum Hook {
    Request,
    RequestBody { piece: Bytes, end: bool },
    Response,
    ResponseBody { piece: Bytes, end: bool },
}

/// How a call went wrong. The instance must not be used again.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: HookErrorKind,
    pub(crate) detail: String,
}

pub(crate) type Accepted = Result<Subscription, Vec<ConfigProblem>>;

impl Instance {
    pub(crate) async fn start(module: &ModuleGeneration, services: &Arc<Services>) -> Result<Instance, Fault> {
        let mut store = bounded_store(module.engine(), Guest::new(Arc::clone(services), module.memory()));
        let linked = module.pre().instantiate_async(&mut store).await.map_err(|error| instantiation(&error))?;
        let exports = Exports::find(&mut store, &linked, module.manifest().hooks)
            .map_err(|error| Fault::trap(format!("{error:#}")))?;
        exports.initialize(&mut store).await?;
        store.data_mut().finish();
        Ok(Instance { store, exports, configured: HashSet::default(), swept: 0 })
    }

    /// Hands the use's settings to the guest. Inner `Err`: the guest refused them.
    pub(crate) async fn configure(&mut self, plugin: &Arc<PluginUse>) -> Result<Accepted, Fault> {
        self.begin(plugin, Phase::Configuring, None);
        let outcome = self.exports.configure(&mut self.store, plugin).await;
        self.store.data_mut().finish();
        let accepted = outcome?;
        if accepted.is_ok() {
            self.configured.insert(plugin.id());
        }
        Ok(accepted)
    }

    /// Sinks that the use opened.
    pub(crate) fn sinks(&self, plugin: u32) -> Vec<Arc<Sink>> {
        self.store.data().sinks.of(plugin).to_vec()
    }

    pub(crate) fn is_configured(&self, plugin: u32) -> bool {
        self.configured.contains(&plugin)
    }

    /// Tells the guest that uses are gone.
    pub(crate) async fn release_all_but(&mut self, live: &HashSet<u32, RandomState>) -> Result<(), Fault> {
        let gone: Vec<u32> = self.configured.iter().filter(|id| !live.contains(id)).copied().collect();
        for id in gone {
            self.configured.remove(&id);
            call(&mut self.store, &self.exports.release, id, RELEASE).await?;
            self.store.data_mut().finish();
            self.store.data_mut().forget(id);
        }
        Ok(())
    }

    /// Calls a hook on the exchange, which comes back whatever happened. With a body hook the
    /// piece that the guest left is in the exchange.
    pub(crate) async fn hook(
        &mut self,
        plugin: &Arc<PluginUse>,
        hook: Hook,
        mut exchange: Box<Exchange>,
    ) -> (Option<Box<Exchange>>, Result<Action, Fault>) {
        let phase = match hook {
            Hook::Request | Hook::Response => Phase::Head,
            Hook::RequestBody { .. } | Hook::ResponseBody { .. } => Phase::Body,
        };
        if let Hook::RequestBody { piece, .. } | Hook::ResponseBody { piece, .. } = &hook {
            exchange.piece = Some(piece.clone());
        }
        self.begin(plugin, phase, Some(exchange));
        let (id, limits, store) = (plugin.id(), plugin.limits(), &mut self.store);
        let outcome = match (&hook, &self.exports) {
            (Hook::Request, Exports { on_request: Some(func), .. }) => {
                call(store, func, id, limits).await.and_then(action)
            }
            (Hook::RequestBody { end, .. }, Exports { on_request_body: Some(func), .. }) => {
                call(store, func, (id, (*end).into()), limits).await.and_then(action)
            }
            (Hook::Response, Exports { on_response: Some(func), .. }) => {
                call(store, func, id, limits).await.map(|()| Action::Continue)
            }
            (Hook::ResponseBody { end, .. }, Exports { on_response_body: Some(func), .. }) => {
                call(store, func, (id, (*end).into()), limits).await.map(|()| Action::Continue)
            }
            // A subscription is checked against the manifest before it is accepted.
            _ => Ok(Action::Continue),
        };
        (self.store.data_mut().finish(), outcome)
    }

    /// Hands over finished requests: records as the ABI has them, and their texts.
    pub(crate) async fn log(&mut self, plugin: &Arc<PluginUse>, records: &[u8], texts: &[u8]) -> Result<(), Fault> {
        self.begin(plugin, Phase::Log, None);
        let outcome = self.exports.log(&mut self.store, plugin, records, texts).await;
        self.store.data_mut().finish();
        outcome
    }

    /// The exchange of a hook whose call was dropped in the middle.
    pub(crate) fn cut_off(&mut self) -> Option<Box<Exchange>> {
        self.store.data_mut().finish()
    }

    /// Bytes of linear memory.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().memory.size
    }

    fn begin(&mut self, plugin: &Arc<PluginUse>, phase: Phase, exchange: Option<Box<Exchange>>) {
        let guest = self.store.data_mut();
        guest.phase = phase;
        guest.plugin = Some(Arc::clone(plugin));
        guest.exchange = exchange;
    }
}

/// A store that charges ticks, yields at each of them, and bounds memory.
pub(crate) fn bounded_store(engine: &wasmtime::Engine, guest: Guest) -> Store<Guest> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        store.data_mut().processor.tick()?;
        // A pause, not a bare yield: a request takes several turns of the worker (client, upstream,
        // client), and each of them would wait for a whole tick of this guest.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep(PAUSE))))
    });
    store
}

/// One call into the guest within the limits.
pub(crate) async fn call<Params, Return>(
    store: &mut Store<Guest>,
    func: &TypedFunc<Params, Return>,
    params: Params,
    limits: HookLimits,
) -> Result<Return, Fault>
where
    Params: WasmParams + Sync,
    Return: WasmResults + Sync,
{
    bounded(store, limits, async |store| func.call_async(store, params).await).await
}

/// Calls into the guest, all together within the limits.
pub(crate) async fn bounded<T>(
    store: &mut Store<Guest>,
    limits: HookLimits,
    calls: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
) -> Result<T, Fault> {
    // The tick under way does not count: a hook of a few microseconds would pause whenever one ends in it.
    store.set_epoch_deadline(2);
    store.data_mut().processor = ProcessorTime::new(limits);
    let outcome = {
        let mut calls = pin!(calls(&mut *store));
        within(limits.wall, calls.as_mut()).await
    };
    match outcome {
        Some(Ok(returned)) => Ok(returned),
        Some(Err(error)) => Err(fault(&error, limits, store.data())),
        None => Err(Fault {
            kind: HookErrorKind::Wall,
            detail: format!("not done after {}", named(limits.wall, "wall", store.data())),
        }),
    }
}

/// `None` when the time is over. The timer is only made once the call waits for something: most
/// never do.
async fn within<T>(time: Duration, mut call: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(|context: &mut Context<'_>| {
        if let Poll::Ready(done) = call.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

impl Fault {
    pub(crate) fn trap(detail: String) -> Fault {
        Fault { kind: HookErrorKind::Trap, detail }
    }

    /// Of the node at this moment, not of the module or its settings.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self.kind, HookErrorKind::Exhausted | HookErrorKind::Wall)
    }

    /// Counts it as the module's.
    pub(crate) fn counted(self, plugin: &PluginUse, second: u64) -> HookError {
        let Fault { kind, detail } = self;
        let (name, module) = (plugin.name(), plugin.module());
        let unsaid = module.faults().count(kind, second, || format!("plugin {name}: {}: {detail}", kind.label()));
        HookError { kind, plugin: name.to_owned(), module: module.name().to_owned(), detail, unsaid }
    }
}

fn action(number: u32) -> Result<Action, Fault> {
    Action::from_abi(number).map_err(|error| Fault::trap(error.to_string()))
}

impl HookLimits {
    /// Settings are read once for many requests: they may take longer than a hook.
    pub(crate) fn for_configuration(self) -> HookLimits {
        HookLimits { cpu: self.cpu.max(CONFIGURE.cpu), wall: self.wall.max(CONFIGURE.wall) }
    }
}

/// A limit of time, with the key that sets it for hooks. What else a module is called for has limits of its own.
fn named(limit: Duration, key: &str, guest: &Guest) -> String {
    if guest.phase.is_hook() { format!("{limit:?} (`{key}`)") } else { format!("{limit:?}") }
}

fn fault(error: &wasmtime::Error, limits: HookLimits, guest: &Guest) -> Fault {
    tracing::debug!(error = %format!("{error:#}"), "guest failed");
    let detail = detail(error);
    if error.downcast_ref::<CpuExceeded>().is_some() {
        return Fault { kind: HookErrorKind::Cpu, detail: format!("{detail}: {}", named(limits.cpu, "cpu", guest)) };
    }
    if guest.memory.refused {
        let most = guest.memory.most();
        let detail = format!("{detail}, after it was refused memory over {most} (`plugins.memory`)");
        return Fault { kind: HookErrorKind::Memory, detail };
    }
    let detail = match error.downcast_ref::<Trap>() {
        Some(Trap::MemoryOutOfBounds) => {
            format!("{detail} (or more stack than the module was linked with: `stack-size`)")
        }
        Some(Trap::StackOverflow) => format!("{detail}: {} KiB (recursion without an end?)", engine::WASM_STACK >> 10),
        _ => detail,
    };
    Fault::trap(detail)
}

/// What went wrong, for the author of the module.
pub(crate) fn detail(error: &wasmtime::Error) -> String {
    // Only while a module is described are there imports that nobody offers.
    if let Some(import) = error.downcast_ref::<UnknownImportError>() {
        let (interface, function) = (import.module(), import.name());
        return format!("calls {interface} `{function}`, but may call nothing of the gateway while it is described");
    }
    let mut detail = error.root_cause().to_string();
    if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS) {
        detail.truncate(end);
    }
    detail
}

fn instantiation(error: &wasmtime::Error) -> Fault {
    let exhausted = error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some();
    let kind = if exhausted { HookErrorKind::Exhausted } else { HookErrorKind::Trap };
    Fault { kind, detail: format!("no instance could be made: {error:#}") }
}

/// What a guest that used up a tick leaves to the worker's other requests.
const PAUSE: Duration = Duration::from_millis(1);
/// For making an instance, and for `describe`. Start functions run before any call sets its own.
pub(crate) const START: HookLimits = HookLimits { cpu: Duration::from_millis(500), wall: Duration::from_secs(2) };
const CONFIGURE: HookLimits = HookLimits { cpu: Duration::from_millis(500), wall: Duration::from_secs(5) };
const RELEASE: HookLimits = HookLimits { cpu: Duration::from_millis(50), wall: Duration::from_secs(1) };
const DETAIL_CHARS: usize = 500;
