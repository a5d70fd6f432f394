use wasmtime::Caller;

use super::{Interface, memory};
use crate::guest::Guest;

#[derive(Clone, Copy)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

pub(super) fn add(log: &mut Interface<'_>) -> wasmtime::Result<()> {
    log.function("write", write)?;
    log.function("field", field)
}

fn write(mut caller: Caller<'_, Guest>, level: u32, start: u32, length: u32) -> wasmtime::Result<()> {
    let (memory, guest) = memory::of(&mut caller)?;
    let level = memory::case(&LEVELS, level)?;
    let plugin = guest.plugin()?;
    if !plugin.module().may_log(guest.services.now_seconds()) {
        return Ok(());
    }
    let message = memory::beginning(memory, start, length, MESSAGE_BYTES)?;
    let (name, module) = (plugin.name(), plugin.module().name());
    match level {
        Level::Error => tracing::error!(plugin = name, module, "{message}"),
        Level::Warn => tracing::warn!(plugin = name, module, "{message}"),
        Level::Info => tracing::info!(plugin = name, module, "{message}"),
        Level::Debug => tracing::debug!(plugin = name, module, "{message}"),
    }
    Ok(())
}

fn field(mut caller: Caller<'_, Guest>, name: u32, name_length: u32, value: u32) -> wasmtime::Result<()> {
    let (memory, guest) = memory::of(&mut caller)?;
    let name = memory::text(memory, name, name_length, FIELD_BYTES)?;
    let text = String::from_utf8_lossy(guest.bytes(value)?).into_owned();
    let exchange = guest.exchange()?;
    let Some(name) = name.filter(|name| name.len() + text.len() <= FIELD_BYTES) else { return Ok(()) };
    if exchange.log_field_count >= FIELDS {
        return Ok(());
    }
    exchange.log_field_count += 1;
    if !exchange.log_fields.is_empty() {
        exchange.log_fields.push(',');
    }
    exchange.log_fields.push_str(&format!("{}:{}", json(name), json(&text)));
    Ok(())
}

fn json(text: &str) -> serde_json::Value {
    serde_json::Value::String(text.to_owned())
}

const LEVELS: [Level; 4] = [Level::Error, Level::Warn, Level::Info, Level::Debug];
const MESSAGE_BYTES: usize = 4096;
const FIELDS: u8 = 16;
const FIELD_BYTES: usize = 1024;
