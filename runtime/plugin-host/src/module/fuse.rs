//! Puts adapters into a module, for imports whose results need memory of the guest's (`abi/reply.rs`).
//!
//! Such an import, as the module calls it, returns nothing and takes as its last parameter where the result is to go.
//! The host's function of that name answers with the first block that it wants, its alignment above its
//! length. Every call of the import becomes one of the adapter:
//!
//! ```text
//! wanted = import(parameters…)
//! while wanted is a block:
//!     wanted = supply(cabi_realloc(0, 0, wanted.align, wanted.length))
//! ```

use std::convert::Infallible;
use std::error::Error;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BlockType, CodeSection, EntityType, Function, FunctionSection, ImportSection, Module, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef};

use crate::abi::{SUPPLY, replies};

/// The module with its adapters; `None` when it lacks what they need.
pub(super) fn fused(module: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let Some(mut fuse) = Fuse::read(module)? else { return Ok(None) };
    // Without imports nothing could be put behind them, either.
    if fuse.adapted.is_empty() {
        return Ok(Some(module.to_owned()));
    }
    let mut fused = Module::new();
    let done = fuse.parse_core_module(&mut fused, Parser::new(0), module);
    done.map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))?;
    Ok(Some(fused.finish()))
}

/// What is known of the module before it is written anew.
struct Fuse {
    types: u32,
    /// Functions that are imported, and that are its own.
    imported: u32,
    own: u32,
    realloc: u32,
    adapted: Vec<Adapted>,
    /// Imports seen while writing.
    written: u32,
}

/// An import that gets an adapter; they are in order.
struct Adapted {
    import: u32,
    /// Of the import, as the module knows it.
    type_index: u32,
    params: Vec<ValType>,
}

impl Fuse {
    fn read(module: &[u8]) -> Result<Option<Fuse>, String> {
        let broken = |error: wasmparser::BinaryReaderError| error.to_string();
        let mut types: Vec<Option<FuncType>> = Vec::new();
        let (mut adapted, mut imported, mut own, mut realloc) = (Vec::new(), 0, Vec::new(), None);
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(broken)? {
                Payload::TypeSection(section) => {
                    for group in section {
                        types.extend(group.map_err(broken)?.into_types().map(|of| match of.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(function),
                            _ => None,
                        }));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(broken)?;
                        if import.module == SUPPLY.0 {
                            return Err(format!("imports {}, which is the gateway's own", SUPPLY.0));
                        }
                        let (TypeRef::Func(type_index) | TypeRef::FuncExact(type_index)) = import.ty else { continue };
                        let function = types.get(type_index as usize).and_then(Option::as_ref);
                        if replies(import.module, import.name) {
                            let Some(params) = function.and_then(plain_params) else {
                                return Err(format!("imports {}.{} with another type", import.module, import.name));
                            };
                            adapted.push(Adapted { import: imported, type_index, params });
                        }
                        imported += 1;
                    }
                }
                Payload::FunctionSection(section) => {
                    own = section.into_iter().collect::<Result<_, _>>().map_err(broken)?;
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(broken)?;
                        if export.kind == ExternalKind::Func && export.name == "cabi_realloc" {
                            realloc = Some(export.index);
                        }
                    }
                }
                _ => {}
            }
        }
        // An import is none of the module's own.
        let realloc = realloc.filter(|realloc| {
            let own: Option<&u32> = realloc.checked_sub(imported).and_then(|place| own.get(place as usize));
            own.and_then(|of| types.get(*of as usize)?.as_ref()).is_some_and(allocates)
        });
        let (types, own) = (types.len() as u32, own.len() as u32);
        Ok(realloc.map(|realloc| Fuse { types, imported, own, realloc, adapted, written: 0 }))
    }

    /// Where the host's function is imported that takes blocks.
    fn supply(&self) -> u32 {
        self.imported
    }

    /// The new types come behind the module's: first `supply`'s, then one for each adapted import.
    fn supply_type(&self) -> u32 {
        self.types
    }

    fn import_type(&self, place: usize) -> u32 {
        self.types + 1 + place as u32
    }

    /// Adapters come behind the module's own functions.
    fn adapter(&self, place: usize) -> u32 {
        self.imported + 1 + self.own + place as u32
    }

    fn adapted(&self, import: u32) -> Option<usize> {
        self.adapted.binary_search_by_key(&import, |adapted| adapted.import).ok()
    }

    fn body(&mut self, of: usize) -> Result<Function, reencode::Error> {
        let realloc = self.function_index(self.realloc)?;
        let adapted = &self.adapted[of];
        let params = adapted.params.len() as u32;
        let wanted = params;
        let mut body = Function::new([(1, ValType::I64)]);
        let mut code = body.instructions();
        for param in 0..params {
            code.local_get(param);
        }
        code.call(adapted.import).local_set(wanted);
        code.block(BlockType::Empty).loop_(BlockType::Empty);
        code.local_get(wanted).i64_const(-1).i64_eq().br_if(1);
        code.i32_const(0).i32_const(0);
        code.local_get(wanted).i64_const(32).i64_shr_u().i32_wrap_i64();
        code.local_get(wanted).i32_wrap_i64();
        code.call(realloc).call(self.supply()).local_set(wanted).br(0);
        code.end().end().end();
        Ok(body)
    }
}

impl Reencode for Fuse {
    type Error = Infallible;

    /// `supply` comes behind the imports and moves what follows; calls of adapted imports go to their adapters.
    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error> {
        Ok(match self.adapted(function) {
            Some(place) => self.adapter(place),
            None if function < self.imported => function,
            None => function.saturating_add(1),
        })
    }

    /// Names are kept, for traps; what else there is may speak of places that moved.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        if let wasmparser::KnownCustom::Name(names) = section.as_known()
            && let Ok(names) = self.custom_name_section(names)
        {
            module.section(&names);
        }
        Ok(())
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], [ValType::I64]);
        for adapted in &self.adapted {
            types.ty().function(adapted.params.iter().copied(), [ValType::I64]);
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        for import in section.into_imports() {
            let import = import?;
            let mut of = self.entity_type(import.ty)?;
            if matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                if let Some(place) = self.adapted(self.written) {
                    of = EntityType::Function(self.import_type(place));
                }
                self.written += 1;
            }
            imports.import(import.module, import.name, of);
        }
        imports.import(SUPPLY.0, SUPPLY.1, EntityType::Function(self.supply_type()));
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_function_section(self, functions, section)?;
        for adapted in &self.adapted {
            functions.function(adapted.type_index);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        reencode::utils::parse_code_section(self, code, section)?;
        for place in 0..self.adapted.len() {
            code.function(&self.body(place)?);
        }
        Ok(())
    }
}

/// `cabi_realloc` has one type.
fn allocates(function: &FuncType) -> bool {
    function.params() == [wasmparser::ValType::I32; 4] && function.results() == [wasmparser::ValType::I32]
}

/// Of a function that returns nothing and takes numbers: the form of an import that is given a place for its result.
fn plain_params(function: &FuncType) -> Option<Vec<ValType>> {
    let params = function.params().iter().map(|param| match param {
        wasmparser::ValType::I32 => Some(ValType::I32),
        wasmparser::ValType::I64 => Some(ValType::I64),
        _ => None,
    });
    if function.results().is_empty() { params.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Caller, Engine, Instance, Linker, Memory, Store};

    use super::*;

    /// Takes what it reads and calls its imports every way there is.
    const GUEST: &str = r#"(module
        (import "tollgate:plugin/values@0.1.0" "length" (func $length (param i32) (result i32)))
        (import "tollgate:plugin/values@0.1.0" "read" (func $read (param i32 i32)))
        (import "tollgate:plugin/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
        (memory (export "memory") 1)
        (table 3 funcref)
        (elem (i32.const 0) $length $read $own)
        (global $started (export "started") (mut i32) (i32.const 0))
        (global $free (mut i32) (i32.const 1024))
        (start $start)
        (func $start (global.set $started (i32.const 1)))
        (func $own (param i32) (result i32) (i32.const 77))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3))))
        (func (export "length") (param i32) (result i32) (call $length (local.get 0)))
        (func (export "direct") (param i32) (call $read (local.get 0) (i32.const 8)))
        (func (export "indirect") (param i32)
            (call_indirect (param i32 i32) (local.get 0) (i32.const 8) (i32.const 1)))
        (func (export "own") (param i32) (result i32)
            (call_indirect (param i32) (result i32) (local.get 0) (i32.const 2)))
        (func (export "tail") (param i32) (return_call $bytes (local.get 0) (i32.const 8)))
    )"#;

    /// Replies with the letters of `abc`, a block each; the list that it gives has the last one.
    #[derive(Default)]
    struct Host {
        at: u32,
        left: Vec<u8>,
        blocks: Vec<u32>,
    }

    fn memory(caller: &mut Caller<'_, Host>) -> Memory {
        caller.get_export("memory").and_then(wasmtime::Extern::into_memory).unwrap()
    }

    fn linked(module: &[u8]) -> (Store<Host>, Instance) {
        let engine = Engine::default();
        let mut linker: Linker<Host> = Linker::new(&engine);
        let begin = |mut caller: Caller<'_, Host>, letters: u32, at: u32| -> u64 {
            let letters = b"abc"[..letters as usize].iter().rev().copied().collect();
            *caller.data_mut() = Host { at, left: letters, blocks: Vec::new() };
            if letters_left(&caller) { ONE_BYTE } else { u64::MAX }
        };
        let supply = |mut caller: Caller<'_, Host>, pointer: u32| -> u64 {
            let memory = memory(&mut caller);
            let letter = caller.data_mut().left.pop().unwrap();
            caller.data_mut().blocks.push(pointer);
            let at = caller.data().at as usize;
            memory.write(&mut caller, pointer as usize, &[letter]).unwrap();
            memory.write(&mut caller, at, &pointer.to_le_bytes()).unwrap();
            if letters_left(&caller) { ONE_BYTE } else { u64::MAX }
        };
        linker.func_wrap("tollgate:plugin/values@0.1.0", "length", |value: u32| value + 1).unwrap();
        linker.func_wrap("tollgate:plugin/values@0.1.0", "read", begin).unwrap();
        linker.func_wrap("tollgate:plugin/random@0.1.0", "bytes", begin).unwrap();
        linker.func_wrap(SUPPLY.0, SUPPLY.1, supply).unwrap();
        let mut store = Store::new(&engine, Host::default());
        let module = wasmtime::Module::new(&engine, module).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        (store, instance)
    }

    fn letters_left(caller: &Caller<'_, Host>) -> bool {
        !caller.data().left.is_empty()
    }

    const ONE_BYTE: u64 = 1 << 32 | 1;

    #[test]
    fn every_block_is_allocated_by_the_guest_whatever_way_it_calls() {
        let guest = wat::parse_str(GUEST).unwrap();
        let fused = fused(&guest).unwrap().unwrap();
        for way in ["direct", "indirect", "tail"] {
            let (mut store, instance) = linked(&fused);
            let call = instance.get_typed_func::<u32, ()>(&mut store, way).unwrap();
            call.call(&mut store, 3).unwrap();
            assert_eq!(store.data().blocks, [1024, 1025, 1026], "{way}");
            let memory = instance.get_memory(&mut store, "memory").unwrap();
            assert_eq!(memory.data(&store)[1024..1027], *b"abc", "{way}");
            call.call(&mut store, 0).unwrap();
            assert!(store.data().blocks.is_empty(), "nothing to allocate: {way}");
        }
    }

    #[test]
    fn all_else_of_the_module_is_as_it_was() {
        let guest = wat::parse_str(GUEST).unwrap();
        let (mut store, instance) = linked(&fused(&guest).unwrap().unwrap());
        let mut call = |name| {
            let function = instance.get_typed_func::<u32, u32>(&mut store, name).unwrap();
            function.call(&mut store, 4).unwrap()
        };
        assert_eq!((call("length"), call("own")), (5, 77));
        let started = instance.get_global(&mut store, "started").unwrap();
        assert_eq!(started.get(&mut store).i32(), Some(1));
    }

    #[test]
    fn a_module_that_needs_no_adapter_stays_and_one_that_can_not_have_them_is_told() {
        let fused = |text: &str| fused(&wat::parse_str(text).unwrap());
        let plain = r#"(module (memory 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1)))"#;
        assert_eq!(fused(plain), Ok(Some(wat::parse_str(plain).unwrap())));
        assert_eq!(fused("(module)"), Ok(None));
        assert_eq!(fused(r#"(module (func (export "cabi_realloc")))"#), Ok(None), "of another type");
        let imported = r#"(module (import "a" "b" (func)) (export "cabi_realloc" (func 0)))"#;
        assert_eq!(fused(imported), Ok(None));
        let own = r#"(module (import "tollgate:adapter" "supply" (func)))"#;
        assert!(fused(own).unwrap_err().contains("tollgate:adapter"));
        let other = r#"(module (import "tollgate:plugin/body@0.1.0" "read" (func (result i64))))"#;
        assert!(fused(other).unwrap_err().contains("another type"));
    }
}
