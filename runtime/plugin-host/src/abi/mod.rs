//! The host side of the plugin ABI (`plugin-sdk/wit/v0.1`), one file an interface.
//!
//! Function names and types are checked against each component's own imports when it is linked, so
//! a drift between these files and the WIT is found by the first module that is loaded.

#![allow(dead_code, reason = "variants and fields of ABI types are made by lifting them from a guest")]

mod body;
mod clock;
mod context;
mod credentials;
mod fields;
mod kv;
mod limiter;
mod log;
mod names;
mod random;
mod request;
mod response;
mod sink;
mod types;
mod values;

use wasmtime::component::{Linker, LinkerInstance};

pub use fields::CONSUMER_FIELDS;
pub(crate) use fields::FieldName;
pub(crate) use types::{Action, Capability, ConfigProblem, HookFlags, LogRecord, Manifest, Subscription, Text};

use crate::guest::Guest;

/// Defines every import of the world.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut define = |name: &str, add: fn(&mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()>| {
        add(&mut linker.instance(&format!("tollgate:plugin/{name}@0.1.0"))?)
    };
    // Holds only types.
    define("types", |_| Ok(()))?;
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
    define("random", random::add)
}

#[cfg(test)]
pub(crate) mod tests;
