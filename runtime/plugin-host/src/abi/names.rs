use wasmtime::component::{LinkerInstance, WasmStr};
use wasmtime::{StoreContextMut, bail};

use super::fields::FieldName;
use crate::guest::Guest;
use crate::names::OF_A_USE;

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("header", |mut store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
        let text = name.to_str(&store)?;
        let Some(field) = FieldName::parse(&text).filter(|_| text.len() <= HEADER_BYTES) else { return Ok((0,)) };
        drop(text);
        let guest = store.data_mut();
        let owner = guest.plugin()?.id();
        if let Some(number) = guest.headers.known(owner, field.name.as_str()) {
            return Ok((number,));
        }
        let text = field.name.clone();
        match guest.headers.resolve(owner, text.as_str(), || field) {
            Some(number) => Ok((number,)),
            None => bail!("a use may resolve {OF_A_USE} header names"),
        }
    })?;
    linker.func_wrap("key", |mut store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
        let text = name.to_str(&store)?;
        if text.is_empty() || text.len() > KEY_BYTES {
            return Ok((0,));
        }
        let owner = store.data().plugin()?.id();
        if let Some(number) = store.data().keys.known(owner, &text) {
            return Ok((number,));
        }
        let text = text.into_owned();
        let guest = store.data_mut();
        match guest.keys.resolve(owner, &text, || text.as_str().into()) {
            Some(number) => Ok((number,)),
            None => bail!("a use may resolve {OF_A_USE} context keys"),
        }
    })
}

const HEADER_BYTES: usize = 256;
const KEY_BYTES: usize = 64;
