use bytes::Bytes;
use wasmtime::{Caller, bail};

use super::{Interface, Reply, memory};
use crate::guest::Guest;
use crate::value::Value;

pub(super) fn add(values: &mut Interface<'_>) -> wasmtime::Result<()> {
    values.function("read", read)?;
    values.function("length", |caller: Caller<'_, Guest>, value: u32| -> wasmtime::Result<u32> {
        Ok(caller.data().bytes(value)?.len() as u32)
    })?;
    values.function("make", make)?;
    values.function("equal", equal)
}

fn read(mut caller: Caller<'_, Guest>, value: u32, result: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    guest.reply(memory, Reply::Value { handle: value, at: result })
}

fn make(mut caller: Caller<'_, Guest>, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let bytes = bounded(memory::bytes(memory, start, length)?, VALUE_BYTES)?;
    guest.hand_out_made(Value::Bytes(Bytes::copy_from_slice(bytes)))
}

fn equal(caller: Caller<'_, Guest>, left: u32, right: u32) -> wasmtime::Result<u32> {
    let (left, right) = (caller.data().bytes(left)?, caller.data().bytes(right)?);
    // No early end: a guest may compare a secret with what a client sent.
    let different = left.iter().zip(right).fold(0, |seen, (a, b)| seen | (a ^ b));
    Ok((left.len() == right.len() && std::hint::black_box(different) == 0).into())
}

/// A guest's bytes, if they are not too many.
pub(super) fn bounded(bytes: &[u8], most: usize) -> wasmtime::Result<&[u8]> {
    if bytes.len() > most {
        bail!("{} bytes are over the limit of {most}", bytes.len());
    }
    Ok(bytes)
}

/// Of one value.
pub(super) const VALUE_BYTES: usize = 64 << 10;
