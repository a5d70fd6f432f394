//! The limiter's time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where a limiter's time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since the Unix epoch; never goes back.
    fn now(&self) -> u64;
}

/// The wall clock as it stood at the start, and monotonic time since: windows are aligned to the
/// Unix epoch, and setting the machine's clock neither opens nor closes one.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    /// Nanoseconds since the Unix epoch.
    wall_at_start: u64,
}

impl SystemClock {
    pub fn start() -> SystemClock {
        // A machine that thinks it is before 1970 counts from the epoch on: alignment is lost, limits hold.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SystemClock { started: Instant::now(), wall_at_start: wall.as_nanos() as u64 }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        self.wall_at_start + self.started.elapsed().as_nanos() as u64
    }
}
