use bytes::Bytes;
use wasmtime::Caller;

use super::values::{VALUE_BYTES, bounded};
use super::{Interface, memory};
use crate::exchange::Entry;
use crate::guest::Guest;
use crate::value::Value;

pub(super) fn add(context: &mut Interface<'_>) -> wasmtime::Result<()> {
    context.function("get", get)?;
    context.function("set", |mut caller: Caller<'_, Guest>, key: u32, value: u32| {
        let guest = caller.data_mut();
        let value = guest.value(value)?.cloned().unwrap_or(Value::Static(""));
        set(guest, key, Entry::Value(value))
    })?;
    context.function("set-bytes", set_bytes)?;
    context.function("get-number", |mut caller: Caller<'_, Guest>, key: u32| -> wasmtime::Result<i64> {
        match entry(caller.data_mut(), key)? {
            Some(Entry::Number(number)) => Ok(number),
            _ => Ok(0),
        }
    })?;
    context.function("set-number", |mut caller: Caller<'_, Guest>, key: u32, number: i64| {
        set(caller.data_mut(), key, Entry::Number(number))
    })
}

fn get(mut caller: Caller<'_, Guest>, key: u32) -> wasmtime::Result<u32> {
    let guest = caller.data_mut();
    match entry(guest, key)? {
        // Shared with the context, and charged when it was put there.
        Some(Entry::Value(value)) => guest.hand_out(value),
        Some(Entry::Number(number)) => guest.hand_out_made(Value::Bytes(number.to_string().into())),
        None => Ok(0),
    }
}

fn set_bytes(mut caller: Caller<'_, Guest>, key: u32, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let bytes = bounded(memory::bytes(memory, start, length)?, VALUE_BYTES)?;
    guest.charge(bytes.len())?;
    set(guest, key, Entry::Value(Value::Bytes(Bytes::copy_from_slice(bytes))))
}

fn entry(guest: &mut Guest, key: u32) -> wasmtime::Result<Option<Entry>> {
    let key = guest.key(key)?.clone();
    Ok(guest.exchange()?.context.get(&key).cloned())
}

fn set(guest: &mut Guest, key: u32, entry: Entry) -> wasmtime::Result<u32> {
    let key = guest.key(key)?.clone();
    Ok(guest.exchange()?.context.set(&key, entry).into())
}
