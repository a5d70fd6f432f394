use std::time::Duration;

use bytes::Bytes;
use wasmtime::Caller;

use super::values::VALUE_BYTES;
use super::{Interface, memory};
use crate::guest::Guest;
use crate::ports::kv::KvFailure;
use crate::value::Value;

/// In the WIT's order.
#[derive(Clone, Copy)]
enum Failure {
    TooLarge,
    Full,
}

/// This node stands alone, so both scopes are the node's own store.
pub(super) fn add(kv: &mut Interface<'_>) -> wasmtime::Result<()> {
    kv.function("get", get)?;
    kv.function("set", set)?;
    kv.function("compare-and-set", compare_and_set)?;
    kv.function("delete", delete)
}

fn get(mut caller: Caller<'_, Guest>, scope: u32, key: u32, key_length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    memory::case(&SCOPES, scope)?;
    let found = guest.services.kv.get(&guest.plugin()?.shared_name(), memory::bytes(memory, key, key_length)?);
    // Charged though shared: the handle keeps a value that may be replaced meanwhile.
    found.map_or(Ok(0), |found| guest.hand_out_made(Value::Bytes(found)))
}

#[expect(clippy::too_many_arguments, reason = "the parameters of the core module's function")]
fn set(
    mut caller: Caller<'_, Guest>,
    scope: u32,
    key: u32,
    key_length: u32,
    value: u32,
    value_length: u32,
    time_to_live: u64,
    result: u32,
) -> wasmtime::Result<()> {
    let (memory, guest) = memory::of(&mut caller)?;
    let (key, value) = entry(memory, scope, (key, key_length), (value, value_length))?;
    let plugin = guest.plugin()?.shared_name();
    let kv = &guest.services.kv;
    let done = value.and_then(|value| kv.set(&plugin, key, value, lifetime(time_to_live)).map_err(failure));
    memory::put(memory, result, &returned(done.map(|()| false)))
}

#[expect(clippy::too_many_arguments, reason = "the parameters of the core module's function")]
fn compare_and_set(
    mut caller: Caller<'_, Guest>,
    scope: u32,
    key: u32,
    key_length: u32,
    expected: u32,
    value: u32,
    value_length: u32,
    time_to_live: u64,
    result: u32,
) -> wasmtime::Result<()> {
    let (memory, guest) = memory::of(&mut caller)?;
    let (key, value) = entry(memory, scope, (key, key_length), (value, value_length))?;
    let plugin = guest.plugin()?.shared_name();
    let expected = guest.value(expected)?.map(Value::as_bytes);
    let (kv, time) = (&guest.services.kv, lifetime(time_to_live));
    let done = value.and_then(|value| kv.compare_and_set(&plugin, key, expected, value, time).map_err(failure));
    memory::put(memory, result, &returned(done))
}

fn delete(mut caller: Caller<'_, Guest>, scope: u32, key: u32, key_length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    memory::case(&SCOPES, scope)?;
    let plugin = guest.plugin()?.shared_name();
    Ok(guest.services.kv.delete(&plugin, memory::bytes(memory, key, key_length)?).into())
}

/// `result<bool, failure>`, and without what is in `ok` also `result<_, failure>`.
fn returned(done: Result<bool, Failure>) -> [u8; 2] {
    match done {
        Ok(done) => [0, done.into()],
        Err(failure) => [1, failure as u8],
    }
}

/// The key, and a copy of the value if it is not too large.
fn entry(
    memory: &[u8],
    scope: u32,
    key: (u32, u32),
    value: (u32, u32),
) -> wasmtime::Result<(&[u8], Result<Bytes, Failure>)> {
    memory::case(&SCOPES, scope)?;
    let value = memory::bytes(memory, value.0, value.1)?;
    let value = if value.len() > VALUE_BYTES { Err(Failure::TooLarge) } else { Ok(Bytes::copy_from_slice(value)) };
    Ok((memory::bytes(memory, key.0, key.1)?, value))
}

fn lifetime(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

fn failure(failure: KvFailure) -> Failure {
    match failure {
        KvFailure::TooLarge => Failure::TooLarge,
        KvFailure::Full => Failure::Full,
    }
}

/// `node` and `cluster`.
const SCOPES: [(); 2] = [(); 2];
