use wasmtime::{Caller, bail};

use super::fields::FieldName;
use super::{Interface, memory};
use crate::guest::Guest;
use crate::names::OF_A_USE;

pub(super) fn add(names: &mut Interface<'_>) -> wasmtime::Result<()> {
    names.function("header", header)?;
    names.function("key", key)
}

fn header(mut caller: Caller<'_, Guest>, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let text = memory::text(memory, start, length, HEADER_BYTES)?;
    let Some(field) = text.and_then(FieldName::parse) else { return Ok(0) };
    let owner = guest.plugin()?.id();
    if let Some(number) = guest.headers.known(owner, field.name.as_str()) {
        return Ok(number);
    }
    let text = field.name.clone();
    match guest.headers.resolve(owner, text.as_str(), || field) {
        Some(number) => Ok(number),
        None => bail!("a use may resolve {OF_A_USE} header names"),
    }
}

fn key(mut caller: Caller<'_, Guest>, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let text = memory::text(memory, start, length, KEY_BYTES)?;
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(0) };
    let owner = guest.plugin()?.id();
    match guest.keys.resolve(owner, text, || text.into()) {
        Some(number) => Ok(number),
        None => bail!("a use may resolve {OF_A_USE} context keys"),
    }
}

const HEADER_BYTES: usize = 256;
const KEY_BYTES: usize = 64;
