use std::path::PathBuf;
use std::time::Duration;

use crate::{Condition, Name};

/// A configured use of a plugin module.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Names the use: counters, kv values and replacement along a chain go by it.
    pub name: Name,
    /// The module: file name in the plugins folder without `.wasm`.
    pub module: Name,
    /// Settings, checked against the module's schema and by the module itself.
    pub config: serde_json::Map<String, serde_json::Value>,
    pub on_error: OnError,
    pub isolation: Isolation,
    pub grants: Grants,
    pub limits: PluginLimits,
    pub tags: Vec<String>,
}

/// What becomes of a request whose hook trapped or ran out of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// It is answered with 500 (503 when no instance was free).
    #[default]
    Closed,
    /// It goes on as if the hook had not been there. Refused for modules that decide access.
    Open,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Instances serve one hook after another.
    #[default]
    Shared,
    /// A fresh instance for each call of a hook: nothing of one request can reach another.
    Request,
}

/// What the operator allows this use to do. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// May look up credentials and set the consumer.
    pub credentials: bool,
    /// Files it may append to. Relative paths start at the node's data folder.
    pub files: Vec<PathBuf>,
    /// May write to standard output.
    pub standard_output: bool,
}

/// Overrides of the node's limits for one use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginLimits {
    /// Processor time inside the guest, for one hook call.
    pub cpu: Option<Duration>,
    /// From call to return, host waits included.
    pub wall: Option<Duration>,
}

/// One place in a chain: a plugin and the condition under which it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainEntry {
    pub plugin: Name,
    pub when: Option<Condition>,
}
