use rand::TryRngCore;
use rand::rngs::OsRng;
use wasmtime::{Caller, bail};

use super::{Interface, Reply, memory};
use crate::guest::Guest;

pub(super) fn add(random: &mut Interface<'_>) -> wasmtime::Result<()> {
    random.function("bytes", bytes)?;
    random.function("number", || -> wasmtime::Result<u64> { Ok(OsRng.try_next_u64()?) })
}

fn bytes(mut caller: Caller<'_, Guest>, length: u32, result: u32) -> wasmtime::Result<u64> {
    if length > MOST {
        bail!("at most {MOST} random bytes a call, not {length}");
    }
    let mut bytes = vec![0; length as usize];
    OsRng.try_fill_bytes(&mut bytes)?;
    let (memory, guest) = memory::of(&mut caller)?;
    guest.reply(memory, Reply::bytes(bytes, result))
}

const MOST: u32 = 64 << 10;
