//! The host against the WIT itself: a component that imports and exports the whole world.

use std::sync::Arc;

use tollgate_limits::Local;
use wasmtime::Module;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{LiftLowerAbi, ManglingAndAbi};

use crate::exports::Exports;
use crate::guest::Guest;
use crate::instance::bounded_store;
use crate::module::Hooks;
use crate::module::form::{to_core, world};
use crate::{Host, HostConfig};

/// A module of the world whose functions all trap, as it is run.
pub(crate) fn whole_world() -> Vec<u8> {
    let (resolve, world) = world().expect("the WIT parses");
    let mangling = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let mut module = wit_component::dummy_module(&resolve, world, mangling);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the world can be embedded");
    let component = ComponentEncoder::default().module(&module).expect("a module").encode().expect("a component");
    let core = to_core(&module).expect("a plugin");
    assert_eq!(core, to_core(&component).expect("a plugin"), "the same as a module and as a component");
    core
}

#[tokio::test]
async fn every_import_and_export_of_the_wit_has_the_types_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let config = HostConfig { instances: 1, ..HostConfig::new(folder.path().into(), folder.path().into()) };
    let host = Host::start(config, Arc::new(Local::new())).unwrap();
    let module = Module::new(&host.engine, whole_world()).unwrap();
    let pre = host.linker.instantiate_pre(&module).expect("the host offers every import");
    let mut store = bounded_store(&host.engine, Guest::new(Arc::clone(&host.services), 1 << 20));
    let linked = pre.instantiate_async(&mut store).await.unwrap();
    let all = Hooks { request: true, request_body: true, response: true, response_body: true, log: true };
    assert!(Exports::find(&mut store, &linked, all).is_ok(), "the host calls every export by its types");
}
