//! How many descriptors the bench and the servers that it starts may have.

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For 10,000 idle clients, and room.
const DESCRIPTORS: u64 = 16 * 1024;

/// Allows them to this process and those that it will start.
///
/// # Errors
/// When the system allows fewer and this user may not change that.
pub fn allow() -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= DESCRIPTORS);
    if enough(now.current) {
        return Ok(());
    }
    let maximum = if enough(now.maximum) { now.maximum } else { Some(DESCRIPTORS) };
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum }).with_context(|| {
        format!("the bench needs {DESCRIPTORS} descriptors: as root, `ulimit -n {DESCRIPTORS}` allows them")
    })
}
