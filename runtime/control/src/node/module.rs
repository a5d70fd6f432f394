use std::collections::BTreeMap;

use serde::Serialize;

use super::Failure;
use crate::Timestamp;

/// A plugin module on this node.
#[derive(Clone, Debug, Serialize)]
pub struct ModuleView {
    /// File name in the plugins folder without `.wasm`.
    pub name: String,
    pub state: ModuleState,
    /// The generation that serves; what follows up to `loaded_at` is told of that one and absent
    /// without one.
    pub generation: Option<u64>,
    pub digest: Option<String>,
    /// In bytes.
    pub size: Option<u64>,
    pub version: Option<String>,
    pub description: Option<String>,
    pub hooks: Vec<&'static str>,
    /// What the module asks for; what it gets is granted to each plugin.
    pub capabilities: Vec<&'static str>,
    pub loaded_at: Option<Timestamp>,
    /// Generations that are not freed yet, the serving one included.
    pub alive: usize,
    /// Generations loaded since the start.
    pub loads: u64,
    /// It is the cluster's, and not a file of this node's plugins folder.
    pub from_cluster: bool,
    /// The digest of the cluster's build, in front of which a file of the plugins folder stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
    /// Why the newest file does not serve. `None` when it does.
    pub last_error: Option<Failure>,
    /// Hooks that failed since the start, by kind, those without a failure included.
    pub faults: BTreeMap<&'static str, u64>,
    /// The last of which the log tells.
    pub last_fault: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModuleState {
    /// The file in the folder serves.
    Serving,
    /// The file in the folder is broken or refused; an older build serves.
    Stale,
    /// The file is gone; the build that was loaded from it serves.
    Removed,
    /// Nothing serves yet: the first build is being compiled.
    Loading,
    /// Nothing serves.
    Broken,
}
