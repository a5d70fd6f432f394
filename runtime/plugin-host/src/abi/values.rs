use bytes::Bytes;
use wasmtime::component::{LinkerInstance, WasmList};
use wasmtime::{StoreContext, StoreContextMut, bail};

use crate::guest::Guest;
use crate::value::Value;

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("read", |store: StoreContextMut<'_, Guest>, (value,): (u32,)| {
        Ok((store.data().value(value)?.map_or_else(Bytes::new, Value::to_bytes),))
    })?;
    linker.func_wrap("length", |store: StoreContextMut<'_, Guest>, (value,): (u32,)| {
        Ok((store.data().bytes(value)?.len() as u32,))
    })?;
    linker.func_wrap("make", |mut store: StoreContextMut<'_, Guest>, (bytes,): (WasmList<u8>,)| {
        let value = Value::Bytes(copied(&store, &bytes, VALUE_BYTES)?);
        Ok((store.data_mut().hand_out_made(value)?,))
    })?;
    linker.func_wrap("equal", |store: StoreContextMut<'_, Guest>, (left, right): (u32, u32)| {
        let (left, right) = (store.data().bytes(left)?, store.data().bytes(right)?);
        // No early end: a guest may compare a secret with what a client sent.
        let different = left.iter().zip(right).fold(0, |seen, (a, b)| seen | (a ^ b));
        Ok((left.len() == right.len() && std::hint::black_box(different) == 0,))
    })
}

/// Copies a guest's bytes after checking their number.
pub(super) fn copied(store: &StoreContextMut<'_, Guest>, bytes: &WasmList<u8>, most: usize) -> wasmtime::Result<Bytes> {
    if bytes.len() > most {
        bail!("{} bytes are over the limit of {most}", bytes.len());
    }
    Ok(Bytes::copy_from_slice(bytes.as_le_slice(StoreContext::from(store))))
}

/// Of one value.
pub(super) const VALUE_BYTES: usize = 64 << 10;
