use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tollgate_limits::Local;
use wasmtime::{Engine, Linker};

use crate::config::HostConfig;
use crate::engine::{self, Ticker};
use crate::guest::Guest;
use crate::module::stored::Stored;
use crate::module::{Library, ModuleReport};
use crate::ports::kv::KvStore;
use crate::ports::sink::SinkHub;
use crate::{abi, plugin::PluginUse};

/// What the process owns of the plugin machinery. Threads that serve requests each make a
/// [`Worker`](crate::Worker) from it.
pub struct Host {
    pub(crate) config: HostConfig,
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<Guest>,
    pub(crate) services: Arc<Services>,
    pub(crate) library: Library,
    pub(crate) stored: Stored,
    last_plugin: AtomicU32,
    last_generation: AtomicU64,
    _ticker: Ticker,
}

/// What hooks reach beyond their request.
pub(crate) struct Services {
    pub(crate) limiter: Arc<Local>,
    pub(crate) kv: KvStore,
    pub(crate) sinks: SinkHub,
    pub(crate) data: PathBuf,
    pub(crate) started: Instant,
}

/// The plugin machinery could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the plugin host can't start: {0}")]
pub struct StartError(String);

impl Host {
    /// Sets up the engine and starts its clock. Reads no module yet:
    /// [`Host::refresh_all`] does.
    pub fn start(config: HostConfig, limiter: Arc<Local>) -> Result<Arc<Host>, StartError> {
        let failed = |error: &dyn std::fmt::Display| StartError(error.to_string());
        if config.instances > engine::MOST_INSTANCES {
            let (most, wanted) = (engine::MOST_INSTANCES, config.instances);
            return Err(StartError(format!(
                "at most {most} instances fit into the address space (each reserves 4 GiB), not {wanted}"
            )));
        }
        let engine = engine::build(&config).map_err(|error| failed(&format!("{error:#}")))?;
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker).map_err(|error| failed(&format!("{error:#}")))?;
        let services = Services {
            limiter,
            kv: KvStore::new(),
            sinks: SinkHub::default(),
            data: config.data.clone(),
            started: Instant::now(),
        };
        Ok(Arc::new(Host {
            _ticker: Ticker::start(&engine).map_err(|error| failed(&error))?,
            library: Library::start(config.instances).map_err(|error| failed(&error))?,
            stored: Stored::new(&config.data),
            services: Arc::new(services),
            last_plugin: AtomicU32::new(0),
            last_generation: AtomicU64::new(0),
            linker,
            engine,
            config,
        }))
    }

    /// Modules as the node has them, for people and machines to look at.
    pub fn modules(&self) -> Vec<ModuleReport> {
        let mut reports = self.library.report();
        for report in &mut reports {
            (report.from_cluster, report.overrides) = self.stored.stands(&report.name);
        }
        reports
    }

    /// Writes to sinks that were dropped because a queue was full.
    pub fn dropped_writes(&self) -> u64 {
        self.services.sinks.dropped()
    }

    /// Waits until everything that plugins wrote to sinks is with the operating system. Blocks.
    pub fn flush_sinks(&self, patience: Duration) {
        self.services.sinks.flush(patience);
    }

    pub(crate) fn new_use(
        &self,
        entity: &Arc<tollgate_model::entity::Plugin>,
        module: &Arc<crate::module::ModuleGeneration>,
    ) -> Arc<PluginUse> {
        let id = self.last_plugin.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::new(PluginUse::new(id, Arc::clone(entity), Arc::clone(module), self.config.hook))
    }

    pub(crate) fn next_generation(&self) -> u64 {
        self.last_generation.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Services {
    /// Seconds since the start, for windows of a second.
    pub(crate) fn now_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}
