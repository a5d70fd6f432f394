use bytes::Bytes;
use wasmtime::component::{LinkerInstance, WasmList};
use wasmtime::{StoreContext, StoreContextMut, bail};

use crate::guest::{Guest, Phase};

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker
        .func_wrap("read", |mut store: StoreContextMut<'_, Guest>, (): ()| Ok((piece(store.data_mut())?.clone(),)))?;
    linker.func_wrap("length", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        Ok((piece(store.data_mut())?.len() as u64,))
    })?;
    linker.func_wrap("write", |mut store: StoreContextMut<'_, Guest>, (bytes,): (WasmList<u8>,)| {
        if bytes.len() > PIECE_BYTES {
            return Ok((false,));
        }
        let copy = Bytes::copy_from_slice(bytes.as_le_slice(StoreContext::from(&store)));
        *piece(store.data_mut())? = copy;
        Ok((true,))
    })
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
