use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, WasmList};

use super::values::{VALUE_BYTES, copied};
use crate::exchange::Entry;
use crate::guest::Guest;
use crate::value::Value;

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("get", |mut store: StoreContextMut<'_, Guest>, (key,): (u32,)| {
        let guest = store.data_mut();
        let handle = match entry(guest, key)? {
            // Shared with the context, and charged when it was put there.
            Some(Entry::Value(value)) => guest.hand_out(value)?,
            Some(Entry::Number(number)) => guest.hand_out_made(Value::Bytes(number.to_string().into()))?,
            None => 0,
        };
        Ok((handle,))
    })?;
    linker.func_wrap("set", |mut store: StoreContextMut<'_, Guest>, (key, value): (u32, u32)| {
        let value = store.data().value(value)?.cloned().unwrap_or(Value::Static(""));
        Ok((set(store.data_mut(), key, Entry::Value(value))?,))
    })?;
    linker.func_wrap("set-bytes", |mut store: StoreContextMut<'_, Guest>, (key, bytes): (u32, WasmList<u8>)| {
        let value = Value::Bytes(copied(&store, &bytes, VALUE_BYTES)?);
        store.data_mut().charge(bytes.len())?;
        Ok((set(store.data_mut(), key, Entry::Value(value))?,))
    })?;
    linker.func_wrap("get-number", |mut store: StoreContextMut<'_, Guest>, (key,): (u32,)| {
        let number = match entry(store.data_mut(), key)? {
            Some(Entry::Number(number)) => number,
            _ => 0,
        };
        Ok((number,))
    })?;
    linker.func_wrap("set-number", |mut store: StoreContextMut<'_, Guest>, (key, number): (u32, i64)| {
        Ok((set(store.data_mut(), key, Entry::Number(number))?,))
    })
}

fn entry(guest: &mut Guest, key: u32) -> wasmtime::Result<Option<Entry>> {
    let key = guest.key(key)?.clone();
    Ok(guest.exchange()?.context.get(&key).cloned())
}

fn set(guest: &mut Guest, key: u32, entry: Entry) -> wasmtime::Result<bool> {
    let key = guest.key(key)?.clone();
    Ok(guest.exchange()?.context.set(&key, entry))
}
