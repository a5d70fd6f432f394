use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

use crate::guest::Guest;

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("now", |_: StoreContextMut<'_, Guest>, (): ()| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok((since.as_millis() as u64,))
    })?;
    linker.func_wrap("monotonic", |store: StoreContextMut<'_, Guest>, (): ()| {
        Ok((store.data().services.started.elapsed().as_nanos() as u64,))
    })?;
    linker.func_wrap_async("sleep", |mut store: StoreContextMut<'_, Guest>, (milliseconds,): (u32,)| {
        Box::new(async move {
            tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
            // Ticks that passed while the guest waited are not its own.
            store.set_epoch_deadline(1);
            Ok(())
        })
    })
}
