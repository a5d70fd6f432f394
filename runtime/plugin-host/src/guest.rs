//! What a store holds: the slot of the current request and everything an instance owns on the host.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tollgate_limits::{Rule, Standing};
use tollgate_model::units::ByteSize;
use wasmtime::{Memory, ResourceLimiter, bail};

use crate::abi::{FieldName, Reply};
use crate::exchange::Exchange;
use crate::host::Services;
use crate::instance::START;
use crate::names::Names;
use crate::plugin::PluginUse;
use crate::ports::directory::Identity;
use crate::ports::sink::Sink;
use crate::processor::ProcessorTime;
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
    pub(crate) headers: Names<FieldName>,
    pub(crate) keys: Names<Arc<str>>,
    pub(crate) rules: Opened<Rule>,
    pub(crate) sinks: Opened<Arc<Sink>>,
    /// Bytes that the host holds on this hook's behalf.
    held: usize,
    /// Its linear memory, once it is instantiated.
    pub(crate) linear: Option<Memory>,
    /// What the import under way still has to hand over.
    pub(crate) reply: Reply,
    pub(crate) memory: MemoryLimit,
    pub(crate) processor: ProcessorTime,
}

/// What an instance opened while it was configured, by use, let go with it. Ids count within a use.
pub(crate) struct Opened<T> {
    by_use: HashMap<u32, Vec<T>, RandomState>,
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

impl Phase {
    /// A hook runs, which has the limits of its use.
    pub(crate) fn is_hook(self) -> bool {
        matches!(self, Phase::Head | Phase::Body | Phase::Log)
    }
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
            headers: Names::default(),
            keys: Names::default(),
            rules: Opened::default(),
            sinks: Opened::default(),
            held: 0,
            linear: None,
            reply: Reply::Given,
            memory: MemoryLimit { limit: memory, size: 0, refused: false },
            processor: ProcessorTime::new(START),
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

    /// A handle for a value that was made for this hook: its bytes are charged.
    pub(crate) fn hand_out_made(&mut self, value: Value) -> wasmtime::Result<u32> {
        self.charge(value.as_bytes().len())?;
        self.hand_out(value)
    }

    /// Counts bytes that the host copied and holds because the guest wanted it.
    pub(crate) fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.held += bytes;
        if self.held > HELD_BYTES {
            bail!("a hook may make the gateway hold {HELD_BYTES} bytes");
        }
        Ok(())
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
        match self.headers.find(id) {
            Some(name) => Ok(name),
            None => bail!("header name {id} was never resolved"),
        }
    }

    pub(crate) fn key(&self, id: u32) -> wasmtime::Result<&Arc<str>> {
        match self.keys.find(id) {
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
        self.held = 0;
        self.reply = Reply::Given;
        self.exchange.take()
    }

    /// Lets go of what was opened and resolved for this use.
    pub(crate) fn forget(&mut self, plugin: u32) {
        self.headers.forget(plugin);
        self.keys.forget(plugin);
        self.rules.forget(plugin);
        self.sinks.forget(plugin);
    }
}

impl<T> Opened<T> {
    /// The thing's id.
    pub(crate) fn add(&mut self, plugin: u32, thing: T) -> u32 {
        let own = self.by_use.entry(plugin).or_default();
        own.push(thing);
        own.len() as u32 - 1
    }

    pub(crate) fn count(&self, plugin: u32) -> usize {
        self.by_use.get(&plugin).map_or(0, Vec::len)
    }

    pub(crate) fn find(&self, plugin: u32, id: u32) -> Option<&T> {
        self.by_use.get(&plugin)?.get(id as usize)
    }

    /// All that this use opened.
    pub(crate) fn of(&self, plugin: u32) -> &[T] {
        self.by_use.get(&plugin).map_or(&[], Vec::as_slice)
    }

    fn forget(&mut self, plugin: u32) {
        self.by_use.remove(&plugin);
    }
}

impl<T> Default for Opened<T> {
    fn default() -> Opened<T> {
        Opened { by_use: HashMap::default() }
    }
}

/// Bounds an instance's linear memory and tells afterwards whether it asked for more.
pub(crate) struct MemoryLimit {
    limit: usize,
    /// Bytes of linear memory now.
    pub(crate) size: usize,
    pub(crate) refused: bool,
}

impl MemoryLimit {
    pub(crate) fn most(&self) -> ByteSize {
        ByteSize(self.limit as u64)
    }
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

/// Handles that a guest may hold in one hook.
const VALUES: usize = 4096;
/// Bytes that the host holds for a guest in one hook, whatever they are copies of.
const HELD_BYTES: usize = 1 << 20;
const TABLE_ELEMENTS: usize = 4096;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tollgate_limits::Local;

    use super::*;
    use crate::{Host, HostConfig};

    #[test]
    fn a_hook_makes_the_host_hold_so_many_bytes() {
        let folder = std::env::temp_dir();
        let config = HostConfig { instances: 1, ..HostConfig::new(folder.clone(), folder) };
        let host = Host::start(config, Arc::new(Local::new())).unwrap();
        let mut guest = Guest::new(Arc::clone(&host.services), 0);
        let value = Value::Bytes(Bytes::from(vec![0; 64 << 10]));
        for _ in 0..2 {
            let handed_out = (0..VALUES).take_while(|_| guest.hand_out_made(value.clone()).is_ok()).count();
            assert_eq!(handed_out, HELD_BYTES / (64 << 10));
            guest.finish();
        }
    }

    #[test]
    fn what_a_use_opened_is_found_by_it_only_and_goes_with_it() {
        let mut opened = Opened::default();
        assert_eq!([opened.add(1, 'a'), opened.add(1, 'b'), opened.add(2, 'c')], [0, 1, 0]);
        assert_eq!((opened.find(1, 1), opened.find(2, 1)), (Some(&'b'), None));
        opened.forget(1);
        assert_eq!((opened.count(1), opened.find(1, 0), opened.find(2, 0)), (0, None, Some(&'c')));
    }
}
