//! What a store holds: the slot of the current request and everything an instance owns on the host.

use std::sync::Arc;

use slab::Slab;
use tollgate_limits::{Rule, Standing};
use wasmtime::{ResourceLimiter, bail};

use crate::abi::FieldName;
use crate::exchange::Exchange;
use crate::host::Services;
use crate::plugin::PluginUse;
use crate::ports::directory::Identity;
use crate::ports::sink::Sink;
use crate::value::Value;

/// Data of a store.
pub(crate) struct Guest {
    pub(crate) services: Arc<Services>,
    /// What the guest is doing; imports that make no sense then trap.
    pub(crate) phase: Phase,
    /// The current request, while a hook runs.
    pub(crate) exchange: Option<Box<Exchange>>,
    /// The configured use that runs or is being configured.
    pub(crate) plugin: Option<Arc<PluginUse>>,
    /// Handles of this hook, from 1.
    pub(crate) values: Vec<Value>,
    /// Credentials found in this hook, from 1.
    pub(crate) found: Vec<Arc<Identity>>,
    /// Standings of this hook's last `limiter.take`.
    pub(crate) standings: Vec<Standing>,
    pub(crate) headers: Vec<FieldName>,
    pub(crate) keys: Vec<Arc<str>>,
    pub(crate) rules: Slab<Owned<Rule>>,
    pub(crate) sinks: Slab<Owned<Arc<Sink>>>,
    pub(crate) memory: MemoryLimit,
    /// Ticks that this call may still use.
    pub(crate) ticks_left: u64,
}

/// Something that an instance opened for one configured use, let go with it.
pub(crate) struct Owned<T> {
    pub(crate) plugin: u32,
    pub(crate) thing: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between calls, or in `describe`.
    Idle,
    Configuring,
    Head,
    Body,
    Log,
}

impl Guest {
    pub(crate) fn new(services: Arc<Services>, memory: usize) -> Guest {
        Guest {
            services,
            phase: Phase::Idle,
            exchange: None,
            plugin: None,
            values: Vec::new(),
            found: Vec::new(),
            standings: Vec::new(),
            headers: Vec::new(),
            keys: Vec::new(),
            rules: Slab::new(),
            sinks: Slab::new(),
            memory: MemoryLimit { limit: memory, size: 0, refused: false },
            ticks_left: START_TICKS,
        }
    }

    pub(crate) fn exchange(&mut self) -> wasmtime::Result<&mut Exchange> {
        match &mut self.exchange {
            Some(exchange) => Ok(exchange),
            None => bail!("there is no current request here"),
        }
    }

    pub(crate) fn plugin(&self) -> wasmtime::Result<&Arc<PluginUse>> {
        match &self.plugin {
            Some(plugin) => Ok(plugin),
            None => bail!("no configured use runs here"),
        }
    }

    pub(crate) fn configuring(&self) -> wasmtime::Result<&Arc<PluginUse>> {
        if self.phase != Phase::Configuring {
            bail!("this may only be called while configuring");
        }
        self.plugin()
    }

    /// A handle for `value`.
    pub(crate) fn hand_out(&mut self, value: Value) -> wasmtime::Result<u32> {
        if self.values.len() >= VALUES {
            bail!("a hook may hold {VALUES} values");
        }
        self.values.push(value);
        Ok(self.values.len() as u32)
    }

    pub(crate) fn hand_out_some(&mut self, value: Option<Value>) -> wasmtime::Result<u32> {
        value.map_or(Ok(0), |value| self.hand_out(value))
    }

    /// The value behind a handle; `None` for 0.
    pub(crate) fn value(&self, handle: u32) -> wasmtime::Result<Option<&Value>> {
        if handle == 0 {
            return Ok(None);
        }
        match self.values.get(handle as usize - 1) {
            Some(value) => Ok(Some(value)),
            None => bail!("value handle {handle} was never handed out in this hook"),
        }
    }

    pub(crate) fn bytes(&self, handle: u32) -> wasmtime::Result<&[u8]> {
        Ok(self.value(handle)?.map_or(&[], Value::as_bytes))
    }

    pub(crate) fn header_name(&self, id: u32) -> wasmtime::Result<&FieldName> {
        match (id as usize).checked_sub(1).and_then(|index| self.headers.get(index)) {
            Some(name) => Ok(name),
            None => bail!("header name {id} was never resolved"),
        }
    }

    pub(crate) fn key(&self, id: u32) -> wasmtime::Result<&Arc<str>> {
        match (id as usize).checked_sub(1).and_then(|index| self.keys.get(index)) {
            Some(key) => Ok(key),
            None => bail!("context key {id} was never resolved"),
        }
    }

    /// Ends a call: what belonged to it is gone, what the exchange was is given back.
    pub(crate) fn finish(&mut self) -> Option<Box<Exchange>> {
        self.phase = Phase::Idle;
        self.plugin = None;
        self.values.clear();
        self.found.clear();
        self.standings.clear();
        self.exchange.take()
    }

    /// Lets go of what was opened for this use.
    pub(crate) fn forget(&mut self, plugin: u32) {
        self.rules.retain(|_, rule| rule.plugin != plugin);
        self.sinks.retain(|_, sink| sink.plugin != plugin);
    }
}

/// Bounds an instance's linear memory and tells afterwards whether it asked for more.
pub(crate) struct MemoryLimit {
    limit: usize,
    /// Bytes of linear memory now.
    pub(crate) size: usize,
    pub(crate) refused: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= self.limit;
        if allowed {
            self.size = desired;
        } else {
            self.refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// Processor time for making an instance: its start functions run before any call sets its own.
const START_TICKS: u64 = 50;
/// Handles that a guest may hold in one hook.
const VALUES: usize = 4096;
const TABLE_ELEMENTS: usize = 4096;
