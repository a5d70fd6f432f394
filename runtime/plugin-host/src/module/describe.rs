//! Asks a module what it is, with every import trapping.

use std::sync::Arc;

use wasmtime::{Engine, Linker, Module};

use super::{Hooks, Manifest};
use crate::abi;
use crate::exports::Exports;
use crate::guest::Guest;
use crate::host::Services;
use crate::instance::{START, bounded_store, detail};

pub(crate) async fn describe(
    engine: &Engine,
    module: &Module,
    services: &Arc<Services>,
    memory: usize,
) -> Result<Manifest, String> {
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(module).map_err(|error| format!("{error:#}"))?;
    let mut store = bounded_store(engine, Guest::new(Arc::clone(services), memory));
    let started = linker.instantiate_async(&mut store, module).await;
    let linked = started.map_err(|error| format!("can't be started: {}", detail(&error)))?;
    let exports = Exports::find(&mut store, &linked, Hooks::default())
        .map_err(|error| format!("is no plugin of this gateway (tollgate:plugin@0.1.0): {error:#}"))?;
    let initialized = exports.initialize(&mut store).await;
    initialized.map_err(|fault| format!("can't be started: {}", fault.detail))?;
    let described = exports.describe(&mut store, START).await;
    checked(described.map_err(|fault| format!("describe failed: {}", fault.detail))?)
}

fn checked(manifest: abi::Manifest) -> Result<Manifest, String> {
    if tollgate_model::Name::parse(&manifest.name).is_err() {
        return Err(format!("calls itself `{}`, which is no valid name", manifest.name.escape_debug()));
    }
    let size = manifest.settings_schema.len();
    if size > SETTINGS_SCHEMA {
        return Err(format!("has a settings schema of {size} bytes, over the limit of {SETTINGS_SCHEMA}"));
    }
    let settings_schema = serde_json::from_str(&manifest.settings_schema)
        .map_err(|error| format!("has a settings schema that is not JSON: {error}"))?;
    Ok(Manifest {
        name: manifest.name,
        version: manifest.version,
        description: manifest.description,
        hooks: manifest.hooks,
        capabilities: manifest.capabilities,
        decides_access: manifest.decides_access,
        settings_schema,
    })
}

/// Bytes.
const SETTINGS_SCHEMA: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settings_schema_has_a_limit() {
        let of_size = |size: usize| {
            checked(abi::Manifest {
                name: "a".to_owned(),
                version: String::new(),
                description: String::new(),
                hooks: Hooks::default(),
                capabilities: Vec::new(),
                decides_access: false,
                settings_schema: format!("{{}}{}", " ".repeat(size - 2)),
            })
        };
        assert!(of_size(65_536).is_ok());
        assert_eq!(
            of_size(65_537).err().as_deref(),
            Some("has a settings schema of 65537 bytes, over the limit of 65536")
        );
    }
}
