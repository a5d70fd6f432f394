use rand::TryRngCore;
use rand::rngs::OsRng;
use wasmtime::component::LinkerInstance;
use wasmtime::{StoreContextMut, bail};

use crate::guest::Guest;

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("bytes", |_: StoreContextMut<'_, Guest>, (length,): (u32,)| {
        if length > MOST {
            bail!("at most {MOST} random bytes a call, not {length}");
        }
        let mut bytes = vec![0; length as usize];
        OsRng.try_fill_bytes(&mut bytes)?;
        Ok((bytes,))
    })?;
    linker.func_wrap("number", |_: StoreContextMut<'_, Guest>, (): ()| Ok((OsRng.try_next_u64()?,)))
}

const MOST: u32 = 64 << 10;
