use wasmtime::component::{LinkerInstance, WasmStr};
use wasmtime::{StoreContextMut, bail};

use super::fields::FieldName;
use crate::guest::Guest;

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("header", |mut store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
        let text = name.to_str(&store)?;
        let Some(field) = FieldName::parse(&text) else { return Ok((0,)) };
        drop(text);
        let headers = &mut store.data_mut().headers;
        let index = match headers.iter().position(|known| known.name == field.name) {
            Some(index) => index,
            None => {
                if headers.len() >= NAMES {
                    bail!("an instance may resolve {NAMES} header names");
                }
                headers.push(field);
                headers.len() - 1
            }
        };
        Ok((index as u32 + 1,))
    })?;
    linker.func_wrap("key", |mut store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
        let text = name.to_str(&store)?;
        if text.is_empty() || text.len() > KEY_BYTES {
            return Ok((0,));
        }
        if let Some(index) = store.data().keys.iter().position(|known| **known == *text) {
            return Ok((index as u32 + 1,));
        }
        let key = text.as_ref().into();
        drop(text);
        let keys = &mut store.data_mut().keys;
        if keys.len() >= NAMES {
            bail!("an instance may resolve {NAMES} context keys");
        }
        keys.push(key);
        Ok((keys.len() as u32,))
    })
}

const NAMES: usize = 1024;
const KEY_BYTES: usize = 64;
