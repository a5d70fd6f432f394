use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime::Caller;

use super::{Interface, waited};
use crate::guest::Guest;

pub(super) fn add(clock: &mut Interface<'_>) -> wasmtime::Result<()> {
    clock.function("now", || -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis() as u64
    })?;
    clock.function("monotonic", |caller: Caller<'_, Guest>| -> u64 {
        caller.data().services.started.elapsed().as_nanos() as u64
    })?;
    clock.waiting("sleep", |mut caller: Caller<'_, Guest>, (milliseconds,): (u32,)| {
        Box::new(
            async move { waited(&mut caller, tokio::time::sleep(Duration::from_millis(milliseconds.into()))).await },
        )
    })
}
