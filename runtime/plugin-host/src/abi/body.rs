use bytes::Bytes;
use wasmtime::{Caller, bail};

use super::{Interface, Reply, memory};
use crate::guest::{Guest, Phase};

pub(super) fn add(body: &mut Interface<'_>) -> wasmtime::Result<()> {
    body.function("read", read)?;
    body.function("length", length)?;
    body.function("write", write)
}

fn read(mut caller: Caller<'_, Guest>, result: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    let piece = piece(guest)?.clone();
    guest.reply(memory, Reply::bytes(piece, result))
}

fn length(mut caller: Caller<'_, Guest>) -> wasmtime::Result<u64> {
    Ok(piece(caller.data_mut())?.len() as u64)
}

fn write(mut caller: Caller<'_, Guest>, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let bytes = memory::bytes(memory, start, length)?;
    if bytes.len() > PIECE_BYTES {
        return Ok(0);
    }
    *piece(guest)? = Bytes::copy_from_slice(bytes);
    Ok(1)
}

fn piece(guest: &mut Guest) -> wasmtime::Result<&mut Bytes> {
    if guest.phase == Phase::Body
        && let Some(piece) = guest.exchange.as_mut().and_then(|exchange| exchange.piece.as_mut())
    {
        return Ok(piece);
    }
    bail!("the body can only be reached from a body hook")
}

/// What a plugin may make of one piece.
const PIECE_BYTES: usize = 16 << 20;
