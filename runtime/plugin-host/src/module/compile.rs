//! Compiles modules on a thread of its own, with a limit on the time anybody waits for it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::CodeCache;
use super::form;

/// Compiles one module at a time, at low priority: traffic comes first. One thread for all, so that
/// the memory of one compilation serves the next.
#[derive(Debug)]
pub(crate) struct Compiler {
    queue: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Compiler {
    /// Starts the thread; it ends with the compiler.
    pub(crate) fn start() -> io::Result<Compiler> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let work = move || {
            lower_priority();
            while let Ok(job) = jobs.recv() {
                job();
            }
        };
        std::thread::Builder::new().name("compile".into()).spawn(work)?;
        Ok(Compiler { queue })
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
        let (done, compiled) = oneshot::channel();
        let (engine, cache) = (engine.clone(), cache.clone());
        let job = move || {
            // Nobody waits any more: the next one's turn.
            if done.is_closed() {
                return;
            }
            let outcome = match cache.load(&engine, &digest) {
                Some(component) => Ok(component),
                // A bug of the compiler must not end the thread.
                None => catch_unwind(AssertUnwindSafe(|| compile(&engine, &bytes)))
                    .unwrap_or_else(|_| Err("makes the compiler panic".into()))
                    .inspect(|component| cache.store(&digest, component)),
            };
            let _ = done.send(outcome);
        };
        self.queue.send(Box::new(job)).map_err(|_| "can't be compiled: the compiler's thread has ended".to_owned())?;
        match tokio::time::timeout(patience, compiled).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("can't be compiled: the compiler's thread has ended".into()),
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
