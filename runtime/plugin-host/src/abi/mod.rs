//! The host side of the plugin ABI (`plugin-sdk/wit/v0.1`), one file an interface.
//!
//! A plugin is run as the core module that its component was made from, and what the component
//! model calls the canonical ABI is done here, for this one world: a call costs a fifth of what it
//! costs through the general machinery. `memory` is what guests pass by pointer, `reply` what they
//! are given that way, `types` what hooks take and return. All other parameters and results are
//! numbers, and functions here have the signatures of the core module.
//!
//! That a component is of this world is checked when it is loaded (`module/form.rs`); that this
//! is the world, by linking a module of all of it (`tests`).

mod body;
mod clock;
mod context;
mod credentials;
mod fields;
mod kv;
mod limiter;
mod log;
pub(crate) mod memory;
mod names;
mod random;
mod reply;
mod request;
mod response;
mod sink;
mod types;
mod values;

use wasmtime::{AsContextMut, Caller, IntoFunc, Linker, WasmRet, WasmTyList};

pub use fields::CONSUMER_FIELDS;
pub(crate) use fields::FieldName;
pub(crate) use reply::Reply;
pub(crate) use types::{Action, ConfigProblem, LOG_RECORD_SIZE, Manifest, accepted, log_record, manifest};

use crate::guest::Guest;

/// Defines every import of the world.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut define = |name: &str, add: fn(&mut Interface<'_>) -> wasmtime::Result<()>| {
        add(&mut Interface { linker: &mut *linker, name: format!("tollgate:plugin/{name}@0.1.0") })
    };
    define("names", names::add)?;
    define("values", values::add)?;
    define("request", request::add)?;
    define("response", response::add)?;
    define("body", body::add)?;
    define("context", context::add)?;
    define("credentials", credentials::add)?;
    define("limiter", limiter::add)?;
    define("kv", kv::add)?;
    define("sink", sink::add)?;
    define("log", log::add)?;
    define("clock", clock::add)?;
    define("random", random::add)?;
    linker.func_wrap(SUPPLY.0, SUPPLY.1, reply::supply)?;
    Ok(())
}

/// One interface of the world, being defined.
struct Interface<'a> {
    linker: &'a mut Linker<Guest>,
    name: String,
}

impl Interface<'_> {
    fn function<P, R>(&mut self, name: &str, function: impl IntoFunc<Guest, P, R>) -> wasmtime::Result<()> {
        self.linker.func_wrap(&self.name, name, function).map(drop)
    }

    /// One that may wait.
    fn waiting<P: WasmTyList + 'static, R: WasmRet>(
        &mut self,
        name: &str,
        function: impl for<'a> Fn(Caller<'a, Guest>, P) -> Box<dyn Future<Output = R> + Send + 'a> + Send + Sync + 'static,
    ) -> wasmtime::Result<()> {
        self.linker.func_wrap_async(&self.name, name, function).map(drop)
    }
}

/// Waits on behalf of the guest that calls: what it used up to now is charged, what passes meanwhile is not its own.
async fn waited<T>(caller: &mut Caller<'_, Guest>, wait: impl Future<Output = T>) -> wasmtime::Result<T> {
    caller.data_mut().processor.pause()?;
    let done = wait.await;
    caller.as_context_mut().set_epoch_deadline(1);
    caller.data_mut().processor.resume();
    Ok(done)
}

/// What the adapters in a module call beside the imports of the world.
pub(crate) const SUPPLY: (&str, &str) = ("tollgate:adapter", "supply");

/// Imports whose results need memory of the guest's.
pub(crate) fn replies(interface: &str, function: &str) -> bool {
    let Some(interface) = interface.strip_prefix("tollgate:plugin/").and_then(|name| name.strip_suffix("@0.1.0"))
    else {
        return false;
    };
    matches!(
        (interface, function),
        ("values" | "body", "read")
            | ("request" | "response", "headers" | "header-values")
            | ("limiter", "define" | "standings")
            | ("sink", "open")
            | ("random", "bytes")
    )
}

#[cfg(test)]
mod liars;
#[cfg(test)]
pub(crate) mod tests;
