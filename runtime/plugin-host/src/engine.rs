//! The one wasmtime engine of the process, and the clock that interrupts guests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::config::HostConfig;

/// Length of a tick: the grain of processor-time limits, and how long a busy guest keeps the worker
/// from its other requests, twice as long before the first time.
pub(crate) const TICK: Duration = Duration::from_millis(5);

pub(crate) fn build(config: &HostConfig) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    // Set, not defaulted: each slot is address space only until it is used.
    pool.total_core_instances(config.instances)
        .total_memories(config.instances)
        .max_memories_per_module(1)
        .total_tables(config.instances)
        .max_tables_per_module(1)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(config.memory)
        .max_core_instance_size(1 << 20)
        .total_stacks(config.instances)
        .max_unused_warm_slots(64)
        // `pagemap_scan` stays off: it would pass over pages that are swapped out or being moved, and the next
        // instance would find in them what the last one left.
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(4 << 10)
        .async_stack_keep_resident(16 << 10);
    let mut settings = Config::new();
    settings
        .epoch_interruption(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .concurrency_support(false)
        .async_stack_size(STACK)
        .max_wasm_stack(WASM_STACK)
        .memory_init_cow(true)
        // All that 32 bits can address: no access needs a check of its bounds.
        .memory_reservation(MEMORY_RESERVATION)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&settings)
}

/// Advances the engine's epoch every [`TICK`] until dropped.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Ticker> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let engine = engine.clone();
        std::thread::Builder::new().name("epoch".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Ticker { stop })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Of an instance's memory that stays when it is over, and is written over: stack, data and first heap of a module of the
/// SDK's, whose page faults would cost more.
const KEEP_RESIDENT: usize = 96 << 10;
/// Address space of one instance's memory.
const MEMORY_RESERVATION: u64 = 4 << 30;
/// Instances whose reservations fit into the 128 TiB that a process has, with as much left over.
pub(crate) const MOST_INSTANCES: u32 = 16_000;
const TABLE_ELEMENTS: usize = 4096;
/// Stack of a hook's fiber, host frames included.
const STACK: usize = 512 << 10;
pub(crate) const WASM_STACK: usize = 256 << 10;
