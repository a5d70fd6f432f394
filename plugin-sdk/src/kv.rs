//! Small values with an optional time to live, apart for each plugin name. Calls may wait.

use std::fmt;
use std::time::Duration;

use crate::Value;
use crate::host::kv as host;
use crate::value::raw;

/// Values of this node.
pub fn node() -> Store {
    Store(host::Scope::Node)
}

/// Values of every node of the cluster; the same as [`node`] while the node stands alone.
pub fn cluster() -> Store {
    Store(host::Scope::Cluster)
}

#[derive(Clone, Copy, Debug)]
pub struct Store(host::Scope);

impl Store {
    /// `None` when absent or expired.
    pub fn get(self, key: impl AsRef<[u8]>) -> Option<Value> {
        Value::from_raw(host::get(self.0, key.as_ref()))
    }

    /// # Errors
    /// See [`Failure`].
    pub fn set(
        self,
        key: impl AsRef<[u8]>,
        bytes: impl AsRef<[u8]>,
        time_to_live: Option<Duration>,
    ) -> Result<(), Failure> {
        host::set(self.0, key.as_ref(), bytes.as_ref(), millis(time_to_live)).map_err(Failure::from)
    }

    /// Sets only if the value is still `expected` (`None`: absent). True when it was set.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn compare_and_set(
        self,
        key: impl AsRef<[u8]>,
        expected: Option<Value>,
        bytes: impl AsRef<[u8]>,
        time_to_live: Option<Duration>,
    ) -> Result<bool, Failure> {
        host::compare_and_set(self.0, key.as_ref(), raw(expected), bytes.as_ref(), millis(time_to_live))
            .map_err(Failure::from)
    }

    /// True when there was one.
    pub fn delete(self, key: impl AsRef<[u8]>) -> bool {
        host::delete(self.0, key.as_ref())
    }
}

/// 0 is "forever" in the ABI; a time to live under a millisecond is one.
fn millis(time_to_live: Option<Duration>) -> u64 {
    time_to_live.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
}

/// Why a value was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Key over 256 bytes or value over 64 KiB.
    TooLarge,
    /// The plugin's share (16 MiB) is used up.
    Full,
    Unavailable,
}

impl From<host::Failure> for Failure {
    fn from(failure: host::Failure) -> Self {
        match failure {
            host::Failure::TooLarge => Failure::TooLarge,
            host::Failure::Full => Failure::Full,
            host::Failure::Unavailable => Failure::Unavailable,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::TooLarge => "the key or the value is too large",
            Failure::Full => "the plugin's share is used up",
            Failure::Unavailable => "the store is not available",
        })
    }
}

impl std::error::Error for Failure {}
