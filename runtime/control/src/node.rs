//! The port to the node that this crate tells about, and the plain data that crosses it.

mod metrics;
mod module;
mod plugin;
mod status;

use std::sync::Arc;

use tollgate_model::ConfigSet;
use tollgate_model::normal_form::PathRules;

pub use metrics::{Histogram, Labelled, NodeMetrics};
pub use module::{ModuleState, ModuleView};
pub use plugin::{PluginState, PluginStatus};
pub use status::{
    BusStatus, CertificateState, CertificateStatus, ConfigurationStatus, DatabaseStatus, DegradedPlace, EntityCounts,
    Failure, ModuleCounts, NodeStatus, Phase, Reach, TargetOut, TargetState, UpstreamStatus, WorkerFault, WorkerState,
};

/// What a node tells about itself. Called for every request of the admin and status listeners, on
/// the control runtime: an answer must not wait, and takes no lock that the data plane waits for.
pub trait NodeView: Send + Sync + 'static {
    /// The set that serves; an empty one before the first.
    fn configuration(&self) -> Arc<ConfigSet>;

    fn status(&self) -> NodeStatus;

    /// All modules this node has seen since its start, in any order.
    fn modules(&self) -> Vec<ModuleView>;

    /// How the plugins of the set fare on this node, in any order. What they are set to is taken from
    /// the set.
    fn plugins(&self) -> Vec<PluginStatus>;

    /// How it reads the paths of requests.
    fn path_rules(&self) -> PathRules;

    /// Counts since the start.
    fn metrics(&self) -> NodeMetrics;
}
