//! Which kind of WebAssembly a file holds, and making a component of it.

use std::borrow::Cow;

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Why a file is no plugin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("is not WebAssembly (it does not start with \\0asm); build it for wasm32-unknown-unknown")]
    NotWasm,
    #[error("is a proxy-wasm filter (it exports {0}); only Tollgate components are run")]
    ProxyWasm(String),
    #[error(
        "has no component type section: it was stripped, or built without the SDK. Build it with \
         tollgate-plugin-sdk and keep custom sections (strip = \"debuginfo\", not \"symbols\")"
    )]
    NoComponentType,
    #[error("imports {0}, which a plugin can't have; build it for wasm32-unknown-unknown, not for WASI")]
    ForeignImport(String),
    #[error("is broken: {0}")]
    Broken(String),
}

/// The component in the file: as it is, or made from a plain module by its component type section.
pub(crate) fn to_component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, FormError> {
    if Parser::is_component(bytes) {
        return Ok(Cow::Borrowed(bytes));
    }
    if !Parser::is_core_wasm(bytes) {
        return Err(FormError::NotWasm);
    }
    inspect(bytes)?;
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| FormError::Broken(format!("{error:#}")))?;
    Ok(Cow::Owned(encoded))
}

/// Finds the causes that deserve an error of their own before the encoder finds their symptoms.
fn inspect(bytes: &[u8]) -> Result<(), FormError> {
    let broken = |error: wasmparser::BinaryReaderError| FormError::Broken(error.to_string());
    let mut typed = false;
    let mut foreign = None;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::CustomSection(section) => typed |= section.name().starts_with("component-type"),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(broken)?;
                    if import.module.starts_with("wasi") {
                        foreign = Some(format!("{}.{}", import.module, import.name));
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(broken)?;
                    if export.name.starts_with("proxy_abi_version") {
                        return Err(FormError::ProxyWasm(export.name.to_owned()));
                    }
                }
            }
            _ => {}
        }
    }
    match foreign {
        Some(import) => Err(FormError::ForeignImport(import)),
        None if !typed => Err(FormError::NoComponentType),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn each_wrong_kind_of_file_has_an_error_of_its_own() {
        assert_eq!(to_component(b"#!/bin/sh"), Err(FormError::NotWasm));
        assert_eq!(to_component(EMPTY), Err(FormError::NoComponentType));
        assert!(matches!(to_component(b"\0asm\x01\0\0\0\x01\x7f"), Err(FormError::Broken(_))));
    }

    #[test]
    fn a_filter_of_another_abi_is_recognised() {
        // An export section with one function export, of a module with one empty function.
        let name = b"proxy_abi_version_0_2_1";
        let mut module = EMPTY.to_vec();
        module.extend_from_slice(&[1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0]);
        module.extend_from_slice(&[7, name.len() as u8 + 4, 1, name.len() as u8]);
        module.extend_from_slice(name);
        module.extend_from_slice(&[0, 0, 10, 4, 1, 2, 0, 0x0b]);
        assert_eq!(to_component(&module), Err(FormError::ProxyWasm("proxy_abi_version_0_2_1".into())));
    }
}
