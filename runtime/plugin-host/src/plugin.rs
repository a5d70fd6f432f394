use std::sync::{Arc, OnceLock};

use tollgate_model::entity::{Grants, Isolation, OnError, Plugin};

use crate::config::HookLimits;
use crate::masking;
use crate::module::{Hooks, ModuleGeneration};
use crate::ports::sink::Sink;

/// A configured use of a module generation: what a chain points at. Its id is never used again.
pub struct PluginUse {
    id: u32,
    entity: Arc<Plugin>,
    name: Arc<str>,
    module: Arc<ModuleGeneration>,
    settings: Vec<u8>,
    secret_parameters: Vec<Box<str>>,
    limits: HookLimits,
    /// Set once the module accepted the settings; a use without it is never in a chain.
    subscription: OnceLock<Subscription>,
    /// Kept open from the trial on: no worker waits until they are.
    sinks: OnceLock<Vec<Arc<Sink>>>,
}

/// What a use wants to be called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    pub hooks: Hooks,
    /// Bytes of a request body to hold back for the hook; 0 hands over pieces as they come.
    pub request_body_limit: u64,
    /// As above, for the response.
    pub response_body_limit: u64,
}

impl PluginUse {
    pub(crate) fn new(id: u32, entity: Arc<Plugin>, module: Arc<ModuleGeneration>, defaults: HookLimits) -> PluginUse {
        let limits = HookLimits {
            cpu: entity.limits.cpu.unwrap_or(defaults.cpu),
            wall: entity.limits.wall.unwrap_or(defaults.wall),
        };
        let settings = serde_json::Value::Object(entity.config.clone()).to_string().into_bytes();
        let secret_parameters = masking::secret_parameters(&module.manifest().settings_schema, &entity.config);
        PluginUse {
            id,
            name: entity.name.shared(),
            entity,
            module,
            settings,
            secret_parameters,
            limits,
            subscription: OnceLock::new(),
            sinks: OnceLock::new(),
        }
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn entity(&self) -> &Arc<Plugin> {
        &self.entity
    }

    pub fn module(&self) -> &Arc<ModuleGeneration> {
        &self.module
    }

    /// Query parameters whose values are secrets, as its settings name them.
    pub fn secret_parameters(&self) -> &[Box<str>] {
        &self.secret_parameters
    }

    pub fn subscription(&self) -> Subscription {
        self.subscription.get().copied().unwrap_or_default()
    }

    /// The module took the settings, and opened these sinks for them.
    pub(crate) fn accept(&self, subscription: Subscription, sinks: Vec<Arc<Sink>>) {
        let _ = self.sinks.set(sinks);
        let _ = self.subscription.set(subscription);
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(crate) fn settings(&self) -> &[u8] {
        &self.settings
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.entity.grants
    }

    pub(crate) fn limits(&self) -> HookLimits {
        self.limits
    }

    pub(crate) fn fails_open(&self) -> bool {
        self.entity.on_error == OnError::Open
    }

    pub(crate) fn fresh_instances(&self) -> bool {
        self.entity.isolation == Isolation::Request
    }
}
