use serde::Serialize;

/// How a plugin of the set fares on this node.
#[derive(Clone, Debug, Serialize)]
pub struct PluginStatus {
    pub name: String,
    pub state: PluginState,
    /// Why it is degraded. Without secrets.
    pub reason: Option<String>,
    /// Generation of the module that it runs on; `None` without one.
    pub generation: Option<u64>,
    pub digest: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    Ready,
    /// The routes that need it answer 503.
    Degraded,
}
