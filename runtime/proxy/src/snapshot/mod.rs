//! The configuration as it serves: built aside, swapped whole, never changed.
//!
//! Each snapshot is made of the one before: what did not change is the same, and a change costs by what it
//! concerns, not by how much there is. The first is made of an empty one, by the same path.

mod builder;
mod changes;
mod plugins;
mod routes;
mod services;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tollgate_model::{ConfigSet, Router};
use tollgate_plugin_host::{CompiledChain, PluginUse};

use crate::directory::ConsumerDirectory;
use crate::upstream::{Endpoint, Endpoints, Healths, UpstreamHealth};
pub use builder::Builder;
pub(crate) use changes::{Change, changes};
use plugins::Plugins;
pub use routes::RouteEntry;
use routes::Routes;
use services::Services;
pub(crate) use services::{ServiceEntry, default_port, prefixed};

/// Everything that requests are served by.
pub struct Snapshot {
    /// Counts the snapshots of this process.
    pub number: u64,
    pub set: Arc<ConfigSet>,
    pub(crate) directory: Arc<ConsumerDirectory>,
    routes: Routes,
    services: Services,
    plugins: Plugins,
}

impl Snapshot {
    /// What can't be served, and why.
    pub fn degraded(&self) -> Vec<(String, String)> {
        let routes = self.routes.degraded().map(|(name, reason)| (format!("route {name}"), reason.to_string()));
        let services = self.services.degraded().map(|(name, reason)| (format!("service {name}"), reason.to_string()));
        let consumers = self.directory.chains().filter_map(|(name, chain)| {
            let reason = chain.as_ref().err()?;
            Some((format!("consumer {name}"), reason.to_string()))
        });
        let mut all: Vec<_> = routes.chain(services).chain(consumers).collect();
        all.sort();
        all
    }

    /// Services whose TLS files can't be used as they are, and why: the last good ones serve.
    pub fn stale_tls(&self) -> &[(String, String)] {
        self.services.stale_tls()
    }

    /// How its upstreams are, as it changes.
    pub fn healths(&self) -> Healths {
        self.services.healths().clone()
    }

    /// Upstreams with a health check, and their targets as the first service that sends them requests
    /// reaches them.
    pub(crate) fn checked(&self) -> Vec<(Arc<UpstreamHealth>, Vec<Arc<Endpoint>>)> {
        self.services.checked(&self.set)
    }

    /// Whether services, and so where requests may be sent, are those of the other one.
    pub(crate) fn has_services_of(&self, other: &Snapshot) -> bool {
        self.services.changed_at() == other.services.changed_at()
    }

    /// Which snapshot was the first with these services.
    pub(crate) fn services_since(&self) -> u64 {
        self.services.changed_at()
    }

    /// Uses that want the record of a request on this route, or of one that found no route, or a
    /// degraded one.
    pub(crate) fn loggers(&self, route: &str) -> impl Iterator<Item = &Arc<PluginUse>> {
        let chain = match self.route(route) {
            Some(entry) => entry.chain.as_ref().ok().or(self.unrouted()),
            None => self.unrouted(),
        };
        chain.into_iter().flat_map(|chain| chain.loggers(u64::MAX))
    }

    pub(crate) fn uses(&self) -> impl Iterator<Item = &Arc<PluginUse>> {
        self.plugins.uses()
    }

    pub(crate) fn has_uses_of(&self, other: &Snapshot) -> bool {
        self.plugins.are(&other.plugins)
    }

    /// Query parameters whose values are never written down.
    pub(crate) fn secret_parameters(&self) -> &[Box<str>] {
        self.plugins.secret_parameters()
    }

    pub(crate) fn router(&self) -> &Router<Arc<RouteEntry>> {
        self.routes.router()
    }

    pub(crate) fn route(&self, name: &str) -> Option<&Arc<RouteEntry>> {
        self.routes.get(name)
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        self.services.endpoints()
    }

    fn unrouted(&self) -> Option<&Arc<CompiledChain>> {
        self.plugins.unrouted()
    }
}
