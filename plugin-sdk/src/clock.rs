//! The gateway's clocks. `std::time` has none inside a plugin.

use std::time::Duration;

use crate::host::clock as host;

/// Time since the Unix epoch, to the millisecond.
pub fn now() -> Duration {
    Duration::from_millis(host::now())
}

/// Time since an arbitrary point, never going back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}

/// Waits, within the plugin's wall-clock limit. Other requests go on meanwhile.
pub fn sleep(time: Duration) {
    host::sleep(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
}
