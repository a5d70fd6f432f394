use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tollgate_model::Problems;
use tollgate_model::entity::Plugin;

use crate::configuration::StoredModule;

/// What modules say of the settings of plugins; the binary knows how to ask them.
pub trait SettingsCheck: Send + Sync + 'static {
    /// `plugins`: those that change, or whose module does. `modules`: all that the cluster has, as they would be. A
    /// problem's path is `plugins.limits.config.window`. What can't be checked here, as neither the cluster nor this
    /// node has the module, is no problem.
    fn check<'a>(
        &'a self,
        plugins: &'a [Arc<Plugin>],
        modules: &'a BTreeMap<String, StoredModule>,
    ) -> Pin<Box<dyn Future<Output = Problems> + Send + 'a>>;
}

/// Takes any settings.
pub struct SettingsUnchecked;

impl SettingsCheck for SettingsUnchecked {
    fn check<'a>(
        &'a self,
        _: &'a [Arc<Plugin>],
        _: &'a BTreeMap<String, StoredModule>,
    ) -> Pin<Box<dyn Future<Output = Problems> + Send + 'a>> {
        Box::pin(std::future::ready(Problems::default()))
    }
}
