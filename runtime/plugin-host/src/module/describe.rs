//! Asks a module what it is, with every import trapping.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use super::{Hooks, Manifest};
use crate::abi;
use crate::config::HookLimits;
use crate::guest::Guest;
use crate::host::Services;
use crate::instance::{bounded_store, call};

pub(crate) async fn describe(
    engine: &Engine,
    component: &Component,
    services: &Arc<Services>,
    memory: usize,
) -> Result<Manifest, String> {
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(component).map_err(|error| format!("{error:#}"))?;
    let mut store = bounded_store(engine, Guest::new(Arc::clone(services), memory));
    let linked = linker
        .instantiate_async(&mut store, component)
        .await
        .map_err(|error| format!("can't be started: {error:#}"))?;
    let describe = linked
        .get_typed_func::<(), (abi::Manifest,)>(&mut store, "describe")
        .map_err(|error| format!("is no plugin of this gateway (ABI 0.1): {error:#}"))?;
    let (manifest,) = call(&mut store, &describe, (), DESCRIBE)
        .await
        .map_err(|fault| format!("describe failed: {}", fault.detail))?;
    checked(manifest)
}

fn checked(manifest: abi::Manifest) -> Result<Manifest, String> {
    if tollgate_model::Name::parse(&manifest.name).is_err() {
        return Err(format!("calls itself `{}`, which is no valid name", manifest.name.escape_debug()));
    }
    let settings_schema = serde_json::from_str(&manifest.settings_schema)
        .map_err(|error| format!("has a settings schema that is not JSON: {error}"))?;
    Ok(Manifest {
        name: manifest.name,
        version: manifest.version,
        description: manifest.description,
        hooks: Hooks::from_abi(manifest.hooks),
        capabilities: manifest.capabilities.into_iter().map(abi::Capability::name).collect(),
        decides_access: manifest.decides_access,
        settings_schema,
    })
}

const DESCRIBE: HookLimits = HookLimits { cpu: Duration::from_millis(500), wall: Duration::from_secs(2) };
