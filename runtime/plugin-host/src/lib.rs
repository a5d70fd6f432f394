//! Runs plugins: WebAssembly components on wasmtime, with limits on all they do.
//!
//! The only crate that knows wasmtime; no wasmtime type leaves it.
//!
//! Reading order: [`Exchange`] (the current request), `abi` (what a guest can call, one file an
//! interface), `instance` (one store, metered), `pool` (instances of a worker), `chain` (the hooks of
//! a request, in order), `module` (from bytes on disk to a generation that can serve), [`Host`]
//! (what the process owns), [`Worker`] (what a data-plane thread owns).
//!
//! Invariants
//! - A store is used by one hook at a time, and never again after a trap, a timeout or a cancelled call.
//! - Nothing of a request stays in an instance: it lives in the [`Exchange`], which the hook borrows.
//! - A module generation that no snapshot and no request holds is freed; workers drop their idle
//!   instances of it when they are told of the swap ([`Worker::told_of_swap`]).
//! - No call of a guest runs longer than its limits; processor time is cut by the epoch, which also
//!   makes a long hook yield to the worker's other requests.
//! - Nothing a guest passes is used before its size was checked.

mod abi;
mod batch;
mod chain;
mod check;
mod config;
mod engine;
mod error;
mod exchange;
mod exports;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guest;
mod host;
mod instance;
mod masking;
mod module;
mod names;
mod plugin;
mod pool;
mod ports;
mod prepare;
mod processor;
mod settings;
mod share;
mod value;
mod worker;

pub use abi::CONSUMER_FIELDS;
pub use batch::FinishedRequest;
pub use chain::{BodyMode, CompiledChain, Outcome, Run};
pub use config::{HookLimits, HostConfig};
pub use error::{HookError, HookErrorKind};
pub use exchange::{Authority, Exchange, Home, Origin, PreparedAnswer, RequestHead, ResponseHead, ResponseSide};
pub use host::Host;
pub use masking::masked_target;
pub use module::stored::{ModuleSource, StoredModule};
pub use module::{Hooks, Manifest, ModuleAbout, ModuleGeneration, ModuleReport, ModuleState};
pub use plugin::{PluginUse, Subscription};
pub use ports::directory::{Directory, Identity};
pub use prepare::{Degraded, Prepared, Unprepared};
pub use settings::SettingsProblem;
pub use worker::Worker;
