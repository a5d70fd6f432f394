//! What a module exports, and calling it with more than numbers.

use wasmtime::{Instance as Linked, Memory, Store, TypedFunc, WasmParams, WasmResults, format_err};

use crate::abi::{self, LOG_RECORD_SIZE, memory};
use crate::config::HookLimits;
use crate::guest::Guest;
use crate::instance::{Accepted, Fault, START, bounded, call};
use crate::module::Hooks;
use crate::plugin::PluginUse;

type OnLog = TypedFunc<(u32, u32, u32, u32, u32), ()>;

/// Found once an instance: a lookup by name is no part of a hook.
pub(crate) struct Exports {
    memory: Memory,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    initialize: Option<TypedFunc<(), ()>>,
    describe: TypedFunc<(), u32>,
    configure: TypedFunc<(u32, u32, u32), u32>,
    configured: Option<TypedFunc<u32, ()>>,
    pub(crate) release: TypedFunc<u32, ()>,
    pub(crate) on_request: Option<TypedFunc<u32, u32>>,
    pub(crate) on_request_body: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_response: Option<TypedFunc<u32, ()>>,
    pub(crate) on_response_body: Option<TypedFunc<(u32, u32), ()>>,
    on_log: Option<OnLog>,
}

impl Exports {
    /// Of an instance that was just made, whose memory the imports know from now on. Hooks that are not in `hooks` are
    /// never called.
    pub(crate) fn find(store: &mut Store<Guest>, linked: &Linked, hooks: Hooks) -> wasmtime::Result<Exports> {
        fn if_needed<P: WasmParams, R: WasmResults>(
            store: &mut Store<Guest>,
            linked: &Linked,
            name: &str,
            needed: bool,
        ) -> wasmtime::Result<Option<TypedFunc<P, R>>> {
            needed.then(|| linked.get_typed_func(store, name)).transpose()
        }
        let memory = linked.get_memory(&mut *store, "memory").ok_or_else(|| format_err!("exports no memory"))?;
        store.data_mut().linear = Some(memory);
        let has = |store: &mut Store<Guest>, name: &str| linked.get_export(store, name).is_some();
        let (initializes, cleans_up) = (has(store, "_initialize"), has(store, "cabi_post_configure"));
        Ok(Exports {
            memory,
            realloc: linked.get_typed_func(&mut *store, "cabi_realloc")?,
            initialize: if_needed(store, linked, "_initialize", initializes)?,
            describe: linked.get_typed_func(&mut *store, "describe")?,
            configure: linked.get_typed_func(&mut *store, "configure")?,
            configured: if_needed(store, linked, "cabi_post_configure", cleans_up)?,
            release: linked.get_typed_func(&mut *store, "release")?,
            on_request: if_needed(store, linked, "on-request", hooks.request)?,
            on_request_body: if_needed(store, linked, "on-request-body", hooks.request_body)?,
            on_response: if_needed(store, linked, "on-response", hooks.response)?,
            on_response_body: if_needed(store, linked, "on-response-body", hooks.response_body)?,
            on_log: if_needed(store, linked, "on-log", hooks.log)?,
        })
    }

    /// What some compilers leave for whoever makes the instance to call.
    pub(crate) async fn initialize(&self, store: &mut Store<Guest>) -> Result<(), Fault> {
        match &self.initialize {
            Some(initialize) => call(store, initialize, (), START).await,
            None => Ok(()),
        }
    }

    /// Of an instance that is then thrown away: what was returned is not freed.
    pub(crate) async fn describe(&self, store: &mut Store<Guest>, limits: HookLimits) -> Result<abi::Manifest, Fault> {
        bounded(store, limits, async |store| {
            let at = self.describe.call_async(&mut *store, ()).await?;
            abi::manifest(self.memory.data(&*store), at)
        })
        .await
    }

    pub(crate) async fn configure(&self, store: &mut Store<Guest>, plugin: &PluginUse) -> Result<Accepted, Fault> {
        bounded(store, plugin.limits().for_configuration(), async |store| {
            let (start, length) = self.pass(store, plugin.settings(), 1).await?;
            let at = self.configure.call_async(&mut *store, (plugin.id(), start, length)).await?;
            let accepted = abi::accepted(self.memory.data(&*store), at)?;
            if let Some(configured) = &self.configured {
                configured.call_async(&mut *store, at).await?;
            }
            Ok(accepted)
        })
        .await
    }

    pub(crate) async fn log(
        &self,
        store: &mut Store<Guest>,
        plugin: &PluginUse,
        records: &[u8],
        texts: &[u8],
    ) -> Result<(), Fault> {
        let Some(on_log) = &self.on_log else { return Ok(()) };
        bounded(store, plugin.limits(), async |store| {
            let (at, bytes) = self.pass(store, records, 8).await?;
            let (text, length) = self.pass(store, texts, 1).await?;
            let count = bytes / LOG_RECORD_SIZE as u32;
            on_log.call_async(&mut *store, (plugin.id(), at, count, text, length)).await
        })
        .await
    }

    /// Puts bytes into memory that the guest allocates for them. Where, and how many.
    async fn pass(&self, store: &mut Store<Guest>, bytes: &[u8], align: u32) -> wasmtime::Result<(u32, u32)> {
        let length = u32::try_from(bytes.len())?;
        if length == 0 {
            return Ok((align, 0));
        }
        let at = self.realloc.call_async(&mut *store, (0, 0, align, length)).await?;
        memory::put(self.memory.data_mut(store), at, bytes)?;
        Ok((at, length))
    }
}
