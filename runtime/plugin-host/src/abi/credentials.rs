use std::sync::Arc;

use wasmtime::{Caller, bail};

use super::Interface;
use crate::guest::Guest;
use crate::ports::directory::Identity;

pub(super) fn add(credentials: &mut Interface<'_>) -> wasmtime::Result<()> {
    credentials.function("find-key", find_key)?;
    credentials.function("find-anonymous", find_anonymous)?;
    credentials.function("authenticate", authenticate)?;
    credentials.function("authenticated", |mut caller: Caller<'_, Guest>| -> wasmtime::Result<u32> {
        Ok(caller.data_mut().exchange()?.identity.is_some().into())
    })
}

fn find_key(mut caller: Caller<'_, Guest>, key: u32) -> wasmtime::Result<u32> {
    let guest = caller.data_mut();
    if key == 0 || !granted(guest)? {
        return Ok(0);
    }
    let found = {
        let key = guest.bytes(key)?;
        guest.exchange.as_ref().and_then(|exchange| exchange.directory.as_ref()?.find_key(key))
    };
    Ok(hand_out(guest, found))
}

fn find_anonymous(mut caller: Caller<'_, Guest>, consumer: u32) -> wasmtime::Result<u32> {
    let guest = caller.data_mut();
    if consumer == 0 || !granted(guest)? {
        return Ok(0);
    }
    let found = {
        let name = std::str::from_utf8(guest.bytes(consumer)?).unwrap_or_default();
        guest.exchange.as_ref().and_then(|exchange| exchange.directory.as_ref()?.find_anonymous(name))
    };
    Ok(hand_out(guest, found))
}

fn authenticate(mut caller: Caller<'_, Guest>, credential: u32) -> wasmtime::Result<u32> {
    let guest = caller.data_mut();
    if credential == 0 {
        return Ok(0);
    }
    let Some(identity) = guest.found.get(credential as usize - 1).cloned() else {
        bail!("credential {credential} was never found in this hook");
    };
    guest.exchange()?.identity = Some(identity);
    Ok(1)
}

/// The operator allowed it. A plugin that asks without the grant was told so when it was configured.
fn granted(guest: &mut Guest) -> wasmtime::Result<bool> {
    guest.exchange()?;
    Ok(guest.plugin()?.grants().credentials)
}

fn hand_out(guest: &mut Guest, identity: Option<Arc<Identity>>) -> u32 {
    match identity {
        // A hook that looks up more than this is guessing.
        Some(identity) if guest.found.len() < FOUND => {
            guest.found.push(identity);
            guest.found.len() as u32
        }
        _ => 0,
    }
}

const FOUND: usize = 64;
