use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, WasmStr};

use crate::guest::Guest;

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Level {
    #[component(name = "error")]
    Error,
    #[component(name = "warn")]
    Warn,
    #[component(name = "info")]
    Info,
    #[component(name = "debug")]
    Debug,
}

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("write", |store: StoreContextMut<'_, Guest>, (level, message): (Level, WasmStr)| {
        let plugin = store.data().plugin()?;
        if !plugin.module().may_log(store.data().services.now_seconds()) {
            return Ok(());
        }
        let message: String = message.to_str(&store)?.chars().take(MESSAGE_CHARS).collect();
        let (name, module) = (plugin.name(), plugin.module().name());
        match level {
            Level::Error => tracing::error!(plugin = name, module, "{message}"),
            Level::Warn => tracing::warn!(plugin = name, module, "{message}"),
            Level::Info => tracing::info!(plugin = name, module, "{message}"),
            Level::Debug => tracing::debug!(plugin = name, module, "{message}"),
        }
        Ok(())
    })?;
    linker.func_wrap("field", |mut store: StoreContextMut<'_, Guest>, (name, value): (WasmStr, u32)| {
        let name = name.to_str(&store)?.into_owned();
        let text = String::from_utf8_lossy(store.data().bytes(value)?).into_owned();
        let exchange = store.data_mut().exchange()?;
        if exchange.log_field_count >= FIELDS || name.len() + text.len() > FIELD_BYTES {
            return Ok(());
        }
        exchange.log_field_count += 1;
        if !exchange.log_fields.is_empty() {
            exchange.log_fields.push(',');
        }
        exchange.log_fields.push_str(&format!("{}:{}", json(name), json(text)));
        Ok(())
    })
}

fn json(text: String) -> serde_json::Value {
    serde_json::Value::String(text)
}

const MESSAGE_CHARS: usize = 4096;
const FIELDS: u8 = 16;
const FIELD_BYTES: usize = 1024;
