//! Compiles modules on a thread of its own, with a limit on the time anybody waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::CodeCache;
use super::form;

/// Compiles one module at a time, at low priority: traffic comes first.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    turn: Arc<Semaphore>,
}

impl Compiler {
    pub(crate) fn new() -> Compiler {
        Compiler { turn: Arc::new(Semaphore::new(1)) }
    }

    /// The component of a `.wasm`, from the cache or compiled.
    pub(crate) async fn component(
        &self,
        engine: &Engine,
        cache: &CodeCache,
        digest: blake3::Hash,
        bytes: Vec<u8>,
        patience: Duration,
    ) -> Result<Component, String> {
        // A compilation that nobody waits for any more keeps its turn until it ends: they never
        // run side by side.
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|error| error.to_string())?;
        let (done, compiled) = oneshot::channel();
        let (engine, cache) = (engine.clone(), cache.clone());
        let work = move || {
            lower_priority();
            let outcome = match cache.load(&engine, &digest) {
                Some(component) => Ok(component),
                None => compile(&engine, &bytes).inspect(|component| cache.store(&digest, component)),
            };
            drop(turn);
            let _ = done.send(outcome);
        };
        std::thread::Builder::new()
            .name("compile".into())
            .spawn(work)
            .map_err(|error| format!("no thread to compile it: {error}"))?;
        match tokio::time::timeout(patience, compiled).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("the compiler panicked".into()),
            Err(_) => Err(format!("is not compiled after {patience:?}")),
        }
    }
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, String> {
    let component = form::to_component(bytes).map_err(|error| error.to_string())?;
    Component::from_binary(engine, &component).map_err(|error| format!("can't be compiled: {error:#}"))
}

/// Of this thread only: on Linux niceness belongs to threads.
fn lower_priority() {
    let thread = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(thread), COMPILE_NICENESS);
}

const COMPILE_NICENESS: i32 = 15;
