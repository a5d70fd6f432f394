//! The processor time of one call into a guest.

use std::time::{Duration, Instant};

use crate::config::HookLimits;
use crate::engine::TICK;
use crate::error::CpuExceeded;

/// What a call may still use. Counted in ticks while the guest runs on; in real time where it runs for less than a tick
/// between two waits, which no tick would meet.
#[derive(Debug)]
pub(crate) struct ProcessorTime {
    ticks_left: u64,
    /// When the guest's last wait ended, if no tick came since.
    resumed: Option<Instant>,
    /// Between waits, and not yet a whole tick.
    spent: Duration,
}

impl ProcessorTime {
    pub(crate) fn new(limits: HookLimits) -> ProcessorTime {
        let ticks = limits.cpu.as_nanos().div_ceil(TICK.as_nanos()) as u64;
        ProcessorTime { ticks_left: ticks.saturating_sub(1), resumed: None, spent: Duration::ZERO }
    }

    /// The guest ran through a tick.
    pub(crate) fn tick(&mut self) -> Result<(), CpuExceeded> {
        self.resumed = None;
        self.ticks_left = self.ticks_left.checked_sub(1).ok_or(CpuExceeded)?;
        Ok(())
    }

    /// The guest is going to wait.
    pub(crate) fn pause(&mut self) -> Result<(), CpuExceeded> {
        let Some(resumed) = self.resumed.take() else { return Ok(()) };
        self.spent += resumed.elapsed();
        while self.spent >= TICK {
            self.spent -= TICK;
            self.tick()?;
        }
        Ok(())
    }

    pub(crate) fn resume(&mut self) {
        self.resumed = Some(Instant::now());
    }
}
