//! Looking at settings before anything is stored: nothing that serves is touched.

use std::sync::Arc;

use serde_json::Value;
use tollgate_model::ConfigSet;
use tollgate_model::entity::Plugin;

use crate::host::Host;
use crate::prepare::Prepared;
use crate::settings::{SettingsProblem, problems_by};

impl Host {
    /// What modules refuse of these plugins, by the builds that would serve them here. A module that is not here, or
    /// not compiled yet, refuses nothing.
    pub async fn check_settings(&self, plugins: &[Arc<Plugin>]) -> Vec<SettingsProblem> {
        let named = plugins.iter().map(|plugin| (plugin.name.clone(), Arc::clone(plugin)));
        let set = ConfigSet { plugins: named.collect(), ..ConfigSet::default() };
        self.refused_settings(&set, &Prepared::default(), |unfit| !unfit.for_now && !unfit.waiting).await
    }

    /// Whether this node can ask the module itself.
    pub fn has_module(&self, plugin: &Plugin) -> bool {
        self.library.has_build(&plugin.module)
    }

    /// What a module's schema alone says of settings.
    pub fn check_by_schema(schema: &Value, plugin: &Plugin) -> Vec<SettingsProblem> {
        match jsonschema::validator_for(schema) {
            Ok(validator) => problems_by(&validator, schema, &plugin.name, &Value::Object(plugin.config.clone())),
            // It was checked when the module was taken.
            Err(_) => Vec::new(),
        }
    }
}
