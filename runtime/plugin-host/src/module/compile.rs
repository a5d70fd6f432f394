//! Compiles modules on a thread of its own, with a limit on the time anybody waits for it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;
use wasmtime::{Engine, Module};

use super::cache::CodeCache;
use super::form;

/// Compiles one module at a time, at low priority: traffic comes first. One thread for all, so that
/// the memory of one compilation serves the next; one that takes too long is left to end by itself,
/// and another thread goes on with the next.
#[derive(Debug)]
pub(crate) struct Compiler {
    queue: mpsc::Sender<Job>,
    jobs: Queue,
}

type Queue = Arc<Mutex<mpsc::Receiver<Job>>>;

struct Job {
    work: Box<dyn FnOnce() + Send>,
    /// Told when the work begins: how its thread is given up.
    begun: oneshot::Sender<Arc<AtomicBool>>,
    /// Dropped when the work is over.
    over: oneshot::Sender<()>,
}

/// What became of a compilation.
pub(super) enum Compiled<T> {
    Done(Result<T, String>),
    /// It took longer than anybody waits, and goes on.
    Late(Late<T>),
}

/// A compilation that takes too long.
pub(super) struct Late<T>(oneshot::Receiver<Result<T, String>>);

impl Compiler {
    /// Starts the thread; it ends with the compiler.
    pub(crate) fn start() -> io::Result<Compiler> {
        let (queue, jobs) = mpsc::channel();
        let compiler = Compiler { queue, jobs: Arc::new(Mutex::new(jobs)) };
        start_thread(&compiler.jobs)?;
        Ok(compiler)
    }

    /// The code of a `.wasm`, from the cache or compiled. `patience` counts from its turn on.
    pub(super) async fn module(
        &self,
        engine: &Engine,
        cache: &CodeCache,
        digest: blake3::Hash,
        bytes: Vec<u8>,
        patience: Duration,
    ) -> Compiled<Module> {
        let (engine, cache) = (engine.clone(), cache.clone());
        let work = move || match cache.load(&engine, &digest) {
            Some(module) => Ok(module),
            None => compile(&engine, &bytes).inspect(|module| cache.store(&digest, module)),
        };
        self.run(work, patience).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
        patience: Duration,
    ) -> Compiled<T> {
        let (done, outcome) = oneshot::channel();
        let (begun, beginning) = oneshot::channel();
        let (over, end) = oneshot::channel();
        let work = Box::new(move || {
            // Nobody waits any more: the next one's turn.
            if !done.is_closed() {
                // A bug of the compiler must not end the thread.
                let outcome = catch_unwind(AssertUnwindSafe(work));
                let _ = done.send(outcome.unwrap_or_else(|_| Err("makes the compiler panic".into())));
            }
        });
        // Without a thread the job is dropped, which ends all waiting for it.
        let _ = self.queue.send(Job { work, begun, over });
        // By itself: others need the thread even if nobody waits for this one any more.
        let watched = tokio::spawn(watch(Arc::clone(&self.jobs), beginning, end, patience));
        match watched.await {
            Ok(Watched::Late) => Compiled::Late(Late(outcome)),
            _ => Compiled::Done(Late(outcome).outcome().await),
        }
    }
}

enum Watched {
    Over,
    Late,
}

/// Waits for the end of a job, and puts another thread in the place of one that takes too long.
async fn watch(
    jobs: Queue,
    beginning: oneshot::Receiver<Arc<AtomicBool>>,
    end: oneshot::Receiver<()>,
    patience: Duration,
) -> Watched {
    let Ok(given_up) = beginning.await else { return Watched::Over };
    if tokio::time::timeout(patience, end).await.is_ok() {
        return Watched::Over;
    }
    match start_thread(&jobs) {
        Ok(()) => given_up.store(true, Ordering::Release),
        Err(error) => tracing::error!(%error, "modules wait for one that takes long to compile"),
    }
    Watched::Late
}

fn start_thread(jobs: &Queue) -> io::Result<()> {
    let jobs = Arc::clone(jobs);
    let given_up = Arc::new(AtomicBool::new(false));
    let work = move || {
        lower_priority();
        while !given_up.load(Ordering::Acquire) {
            // Held while this thread waits for a job, not while it works on one.
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Job { work, begun, over }) = next else { return };
            let _ = begun.send(Arc::clone(&given_up));
            work();
            drop(over);
        }
    };
    std::thread::Builder::new().name("compile".into()).spawn(work).map(drop)
}

impl<T> Late<T> {
    pub(super) async fn outcome(self) -> Result<T, String> {
        self.0.await.unwrap_or_else(|_| Err("can't be compiled: the compiler's thread has ended".into()))
    }
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, String> {
    let core = form::to_core(bytes).map_err(|error| error.to_string())?;
    Module::from_binary(engine, &core).map_err(|error| format!("can't be compiled: {error:#}"))
}

/// Of this thread only: on Linux niceness belongs to threads.
fn lower_priority() {
    let thread = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(thread), COMPILE_NICENESS);
}

const COMPILE_NICENESS: i32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const MOMENT: Duration = Duration::from_millis(20);

    fn done<T>(compiled: Compiled<T>) -> Result<T, String> {
        match compiled {
            Compiled::Done(outcome) => outcome,
            Compiled::Late(_) => panic!("it took too long"),
        }
    }

    #[tokio::test]
    async fn waiting_for_ones_turn_costs_no_patience() {
        let compiler = Compiler::start().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let first = compiler.run(move || released.recv().map_err(|error| error.to_string()), LONG);
        let second = compiler.run(|| Ok(2), MOMENT);
        let mut both = Box::pin(async { tokio::join!(first, second) });
        assert!(tokio::time::timeout(MOMENT * 5, &mut both).await.is_err(), "the first one is held up");
        release.send(()).unwrap();
        let (first, second) = both.await;
        assert_eq!((done(first), done(second)), (Ok(()), Ok(2)));
    }

    #[tokio::test]
    async fn one_that_takes_too_long_holds_nobody_up_and_still_counts() {
        let compiler = Compiler::start().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let stuck = compiler.run(move || released.recv().map_err(|error| error.to_string()), MOMENT).await;
        let Compiled::Late(late) = stuck else { panic!("it can't be done") };
        assert_eq!(done(compiler.run(|| Ok(2), LONG).await), Ok(2));
        release.send(()).unwrap();
        assert_eq!(late.outcome().await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_module_only() {
        let compiler = Compiler::start().unwrap();
        let bug = compiler.run(|| -> Result<(), String> { panic!("of the cache or the compiler") }, LONG).await;
        assert_eq!(done(bug), Err("makes the compiler panic".into()));
        assert_eq!(done(compiler.run(|| Ok(2), LONG).await), Ok(2));
    }
}
