use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tollgate_model::Problems;
use tollgate_model::entity::Plugin;

use crate::configuration::StoredModule;

/// What only a gateway can say of what is to be stored; the binary knows how to ask it.
pub trait SettingsCheck: Send + Sync + 'static {
    /// `plugins`: those that change, or whose module does. `modules`: all that the cluster has, as they would be. A
    /// problem's path is `plugins.limits.config.window`. What can't be checked here, as neither the cluster nor this
    /// node has the module, is no problem.
    fn check<'a>(
        &'a self,
        plugins: &'a [Arc<Plugin>],
        modules: &'a BTreeMap<String, StoredModule>,
    ) -> Pin<Box<dyn Future<Output = Problems> + Send + 'a>>;

    /// What is wrong with a chain and its key, both in PEM, for showing them to clients. Never tells what is in them.
    fn certificate(&self, chain: &str, key: &str) -> Result<(), String>;

    /// Compiles a module and lets it describe itself, aside. What is wrong with it stands behind "the module".
    fn inspect(&self, bytes: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<StoredModule, String>> + Send + '_>>;
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

    fn certificate(&self, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn inspect(&self, _: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<StoredModule, String>> + Send + '_>> {
        Box::pin(std::future::ready(Err("can't be looked into by this node".to_owned())))
    }
}
