//! How many descriptors this process may have, and how many of them clients may take.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tollgate_proxy::ProxyConfig;

/// Raises the soft limit of open descriptors to the hard one. Returns what it is now.
///
/// The soft limit is low for the sake of programs that use `select`, which can't take high numbers.
pub fn raise() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits });
    let current = if raised.is_ok() { limits.maximum } else { limits.current };
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The configuration with as many connections as there are descriptors for.
///
/// Some are kept for what must go on when clients take all the rest: the admin and status listeners,
/// files, a successor. Of the others every connection may need two, its own and one to an upstream.
pub fn bounded(config: &ProxyConfig, limit: usize) -> ProxyConfig {
    let reserve = (limit / 8).clamp(LEAST_RESERVE, MOST_RESERVE);
    let ceiling = limit.saturating_sub(reserve).max(1);
    let free = ceiling.saturating_sub(open()).max(1);
    let wanted = config.connections.unwrap_or(DEFAULT_CONNECTIONS.min(free / 2).max(1));
    let connections = wanted.min(free);
    tracing::info!(limit, reserve, connections, "descriptors");
    if config.connections.is_some() && connections > free / 2 {
        tracing::warn!(
            connections = wanted,
            descriptors = free,
            "proxy.connections is more than half of the free descriptors: with an upstream connection each, not all \
             of them can be served at once; raise the limit (LimitNOFILE=, ulimit -n)"
        );
    }
    ProxyConfig { connections: Some(connections), descriptor_ceiling: ceiling, ..config.clone() }
}

/// Descriptors that this process has open.
fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(LEAST_RESERVE, Iterator::count)
}

const DEFAULT_CONNECTIONS: usize = 65_536;
const LEAST_RESERVE: usize = 32;
/// Both control listeners full, and room for files.
const MOST_RESERVE: usize = 1024;
