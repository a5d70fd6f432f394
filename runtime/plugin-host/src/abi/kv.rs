use std::time::Duration;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, WasmList};

use crate::guest::Guest;
use crate::ports::kv::KvFailure;
use crate::value::Value;

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Scope {
    #[component(name = "node")]
    Node,
    #[component(name = "cluster")]
    Cluster,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Failure {
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "full")]
    Full,
    #[component(name = "unavailable")]
    Unavailable,
}

/// This node stands alone, so both scopes are the node's own store.
pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("get", |mut store: StoreContextMut<'_, Guest>, (_, key): (Scope, WasmList<u8>)| {
        let plugin = store.data().plugin()?.shared_name();
        let found = store.data().services.kv.get(&plugin, key.as_le_slice(&store));
        // Charged though shared: the handle keeps a value that may be replaced meanwhile.
        Ok((found.map_or(Ok(0), |found| store.data_mut().hand_out_made(Value::Bytes(found)))?,))
    })?;
    linker.func_wrap(
        "set",
        |store: StoreContextMut<'_, Guest>, (_, key, value, ttl): (Scope, WasmList<u8>, WasmList<u8>, u64)| {
            let plugin = store.data().plugin()?.shared_name();
            let Some(value) = bounded(&store, &value) else { return Ok((Err(Failure::TooLarge),)) };
            let done = store.data().services.kv.set(&plugin, key.as_le_slice(&store), value, time_to_live(ttl));
            Ok((done.map_err(failure),))
        },
    )?;
    linker.func_wrap(
        "compare-and-set",
        |store: StoreContextMut<'_, Guest>,
         (_, key, expected, value, ttl): (Scope, WasmList<u8>, u32, WasmList<u8>, u64)| {
            let plugin = store.data().plugin()?.shared_name();
            let Some(value) = bounded(&store, &value) else { return Ok((Err(Failure::TooLarge),)) };
            let expected = store.data().value(expected)?.map(Value::as_bytes);
            let key = key.as_le_slice(&store);
            let done = store.data().services.kv.compare_and_set(&plugin, key, expected, value, time_to_live(ttl));
            Ok((done.map_err(failure),))
        },
    )?;
    linker.func_wrap("delete", |store: StoreContextMut<'_, Guest>, (_, key): (Scope, WasmList<u8>)| {
        let plugin = store.data().plugin()?.shared_name();
        Ok((store.data().services.kv.delete(&plugin, key.as_le_slice(&store)),))
    })
}

fn bounded(store: &StoreContextMut<'_, Guest>, value: &WasmList<u8>) -> Option<Bytes> {
    (value.len() <= VALUE_BYTES).then(|| Bytes::copy_from_slice(value.as_le_slice(store)))
}

fn time_to_live(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

fn failure(failure: KvFailure) -> Failure {
    match failure {
        KvFailure::TooLarge => Failure::TooLarge,
        KvFailure::Full => Failure::Full,
    }
}

const VALUE_BYTES: usize = 64 << 10;
