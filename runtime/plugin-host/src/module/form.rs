//! Which kind of WebAssembly a file holds, and making of it what is run: the core module of a component of our world.

use std::borrow::Cow;
use std::ops::Range;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentTypeRef, ExternalKind, Parser, Payload, Validator, WasmFeatures,
};
use wit_component::ComponentEncoder;
use wit_parser::{Resolve, SourceMap, WorldId};

use super::fuse;

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
    #[error("imports {0}, which this gateway does not offer; its ABI is tollgate:plugin@0.1.0")]
    OtherAbi(String),
    #[error(
        "is no plugin of this gateway (tollgate:plugin@0.1.0): {0}; build it with the tollgate-plugin-sdk of this \
         gateway's version"
    )]
    OtherWorld(String),
    #[error(
        "is composed of several components or modules, and a plugin is made from one: give the module or component as \
         it was before it was composed"
    )]
    Composed,
    #[error("is broken: {0}")]
    Broken(String),
}

/// The core module of the plugin in the file, with what it needs to be run by this host.
pub(crate) fn to_core(bytes: &[u8]) -> Result<Vec<u8>, FormError> {
    let component = to_component(bytes)?;
    let made_from = core_module(&component)?;
    conforms(&component)?;
    // A module as it came: the encoder renames imports that are there more than once.
    let core = if Parser::is_component(bytes) { made_from } else { bytes };
    match fuse::fused(core).map_err(FormError::Broken)? {
        Some(fused) => Ok(fused),
        None => {
            Err(FormError::OtherWorld("its module does not export `memory` and `cabi_realloc` as plugins do".into()))
        }
    }
}

/// The component in the file: as it is, or made from a plain module by its component type section.
fn to_component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, FormError> {
    let is_component = Parser::is_component(bytes);
    if !is_component && !Parser::is_core_wasm(bytes) {
        return Err(FormError::NotWasm);
    }
    Validator::new_with_features(FEATURES).validate_all(bytes).map_err(broken)?;
    if is_component {
        return Ok(Cow::Borrowed(bytes));
    }
    inspect(bytes)?;
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| FormError::Broken(format!("{error:#}")))?;
    Ok(Cow::Owned(encoded))
}

/// The module that the component was made from: beside it there are only those that wit-component adds to tie it
/// to its imports, which is done otherwise here.
fn core_module(component: &[u8]) -> Result<&[u8], FormError> {
    let mut modules: Vec<Range<usize>> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::ComponentSection { .. } => return Err(FormError::Composed),
            Payload::ModuleSection { unchecked_range, .. } => modules.push(unchecked_range),
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import.map_err(broken)?;
                    // Types that the world takes from an interface are imports too.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        offered(import.name.name)?;
                    }
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    passes_as_we_do(&function.map_err(broken)?)?;
                }
            }
            _ => {}
        }
    }
    let mut with_memory = modules.into_iter().filter_map(|range| component.get(range)).filter(|of| exports_memory(of));
    match (with_memory.next(), with_memory.next()) {
        (Some(module), None) => Ok(module),
        (None, _) => {
            Err(FormError::OtherWorld("its module does not export `memory` and `cabi_realloc` as plugins do".into()))
        }
        _ => Err(FormError::Composed),
    }
}

/// By its name; its type is looked at with all others.
fn offered(import: &str) -> Result<(), FormError> {
    match import.strip_prefix("tollgate:plugin/") {
        Some(interface) if interface.ends_with("@0.1.0") => Ok(()),
        Some(_) => Err(FormError::OtherAbi(import.to_owned())),
        None => Err(FormError::ForeignImport(import.to_owned())),
    }
}

/// Strings as UTF-8, calls that return when they are done.
fn passes_as_we_do(function: &CanonicalFunction) -> Result<(), FormError> {
    let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) = function else {
        return Ok(());
    };
    let other = options.iter().find_map(|option| match option {
        CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => Some("its strings are not UTF-8"),
        CanonicalOption::Async | CanonicalOption::Callback(_) => Some("its functions are asynchronous"),
        CanonicalOption::Gc => Some("it keeps values outside of its memory"),
        _ => None,
    });
    other.map_or(Ok(()), |what| Err(FormError::OtherWorld(what.into())))
}

fn exports_memory(module: &[u8]) -> bool {
    Parser::new(0).parse_all(module).any(|payload| match payload {
        Ok(Payload::ExportSection(exports)) => {
            exports.into_iter().flatten().any(|export| export.kind == ExternalKind::Memory && export.name == "memory")
        }
        _ => false,
    })
}

/// Every import and export has the type that it has in the world.
fn conforms(component: &[u8]) -> Result<(), FormError> {
    let (resolve, world) = world().map_err(|error| FormError::Broken(format!("the gateway's own WIT: {error}")))?;
    wit_component::targets(&resolve, world, component)
        .map_err(|error| FormError::OtherWorld(error.root_cause().to_string()))
}

/// The plugin world.
pub(crate) fn world() -> Result<(Resolve, WorldId), String> {
    let mut sources = SourceMap::new();
    for (name, source) in WIT {
        sources.push_str(name, source);
    }
    let package = sources.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(package).map_err(|error| error.to_string())?;
    let world = resolve.select_world(&[package], Some("plugin")).map_err(|error| error.to_string())?;
    Ok((resolve, world))
}

/// Finds the causes that deserve an error of their own before the encoder finds their symptoms.
fn inspect(bytes: &[u8]) -> Result<(), FormError> {
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

fn broken(error: wasmparser::BinaryReaderError) -> FormError {
    let what = error.to_string();
    let is_cut_off = what.contains("unexpected end") || what.contains("inconsistent lengths");
    FormError::Broken(if is_cut_off { format!("{what}; {COPY_AGAIN}") } else { what })
}

const COPY_AGAIN: &str =
    "it looks cut off: copy it again, first under a name that does not end in .wasm, and rename that";

/// What the engine has (`engine.rs`), and components. With all that there are, a small file could name a million imports.
const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

const WIT: [(&str, &str); 8] = [
    ("context.wit", include_str!("../../../../plugin-sdk/wit/v0.1/context.wit")),
    ("host.wit", include_str!("../../../../plugin-sdk/wit/v0.1/host.wit")),
    ("limiter.wit", include_str!("../../../../plugin-sdk/wit/v0.1/limiter.wit")),
    ("request.wit", include_str!("../../../../plugin-sdk/wit/v0.1/request.wit")),
    ("response.wit", include_str!("../../../../plugin-sdk/wit/v0.1/response.wit")),
    ("types.wit", include_str!("../../../../plugin-sdk/wit/v0.1/types.wit")),
    ("values.wit", include_str!("../../../../plugin-sdk/wit/v0.1/values.wit")),
    ("world.wit", include_str!("../../../../plugin-sdk/wit/v0.1/world.wit")),
];

#[cfg(test)]
mod tests {
    use wit_component::StringEncoding;
    use wit_parser::{LiftLowerAbi, ManglingAndAbi};

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn each_wrong_kind_of_file_has_an_error_of_its_own() {
        assert_eq!(to_core(b"#!/bin/sh"), Err(FormError::NotWasm));
        assert_eq!(to_core(EMPTY), Err(FormError::NoComponentType));
        let cut_off = to_core(b"\0asm\x01\0\0\0\x01\x7f");
        assert!(matches!(&cut_off, Err(FormError::Broken(what)) if what.ends_with(COPY_AGAIN)), "{cut_off:?}");
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
        assert_eq!(to_core(&module), Err(FormError::ProxyWasm("proxy_abi_version_0_2_1".into())));
    }

    #[test]
    fn what_the_engine_does_not_have_is_named() {
        for (module, feature) in [
            ("(module (memory i64 1))", "memory64"),
            ("(module (memory 1) (memory 1))", "multi"),
            ("(module (memory 1 1 shared))", "threads"),
        ] {
            let FormError::Broken(reason) = to_core(&wat::parse_str(module).unwrap()).unwrap_err() else {
                panic!("{module} can't be run")
            };
            assert!(reason.contains(feature), "{reason}");
        }
    }

    /// A component of some world, whose functions do nothing.
    fn component(wit: &str, encoding: StringEncoding) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("some.wit", wit).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        made_of(&resolve, world, encoding)
    }

    fn made_of(resolve: &Resolve, world: WorldId, encoding: StringEncoding) -> Vec<u8> {
        let mangling = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
        let mut module = wit_component::dummy_module(resolve, world, mangling);
        wit_component::embed_component_metadata(&mut module, resolve, world, encoding).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }

    #[test]
    fn a_component_of_another_world_is_told_what_is_wrong() {
        let refusal = |wit: &str| to_core(&component(wit, StringEncoding::UTF8)).unwrap_err();
        let foreign = "package a:b; world w { import c: interface { d: func(); } export e: func() -> string; }";
        assert_eq!(refusal(foreign), FormError::ForeignImport("c".into()));
        let newer = "package tollgate:plugin@0.2.0; interface values { read: func(value: u32) -> list<u8>; }
            world plugin { import values; export describe: func() -> string; }";
        assert_eq!(refusal(newer), FormError::OtherAbi("tollgate:plugin/values@0.2.0".into()));
        let otherwise = "package tollgate:plugin@0.1.0; interface values { read: func(value: u64) -> list<u8>; }
            world plugin { import values; export describe: func() -> string; }";
        let FormError::OtherWorld(reason) = refusal(otherwise) else { panic!("the types are others") };
        assert!(reason.contains("read"), "{reason}");
        let nothing = "package a:b; world w { export describe: func() -> string; }";
        assert!(matches!(refusal(nothing), FormError::OtherWorld(_)));
    }

    #[test]
    fn strings_are_passed_as_utf_8_only() {
        let (resolve, world) = world().unwrap();
        assert!(to_core(&made_of(&resolve, world, StringEncoding::UTF8)).is_ok());
        for other in [StringEncoding::UTF16, StringEncoding::CompactUTF16] {
            let refusal = to_core(&made_of(&resolve, world, other)).unwrap_err();
            assert_eq!(refusal, FormError::OtherWorld("its strings are not UTF-8".into()));
        }
    }

    #[test]
    fn a_composed_component_is_refused() {
        let (resolve, world) = world().unwrap();
        let inner = made_of(&resolve, world, StringEncoding::UTF8);
        let mut outer = wasm_encoder::ComponentBuilder::default();
        outer.component_raw(None, &inner);
        assert_eq!(to_core(&outer.finish()), Err(FormError::Composed));
    }
}
