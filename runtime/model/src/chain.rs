//! Which plugins a request meets, and in which order.

use std::sync::Arc;

use serde_json::Value;

use crate::entity::{ChainEntry, Consumer, Destination, Plugin, Route, Service};
use crate::{Condition, ConfigSet, Kind};

/// Plugins in the order they run: global, then service, then route entries, each level in its own
/// order; an entry with the name of an outer one stands in the outer one's place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    pub links: Vec<ChainLink>,
    /// Why requests must not be served by it on this node.
    pub broken: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChainLink {
    pub plugin: Arc<Plugin>,
    pub when: Option<Condition>,
    /// Level of the entry that stands here (the inner one where it replaced an outer one).
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Global,
    Service,
    Route,
    Consumer,
}

impl ConfigSet {
    /// The first part of a request's chain on this route of the set.
    pub fn route_chain(&self, route: &Route) -> Chain {
        let service = self.services.get(&route.service);
        let mut chain = service.map_or_else(|| self.global_chain(), |service| self.service_chain(service));
        self.extend(&mut chain, &route.chain, Level::Route);
        if let Some(reason) = self.why_broken(route) {
            chain.broken = Some(reason);
        }
        chain
    }

    /// The same on a route of this service without entries of its own.
    pub fn service_chain(&self, service: &Service) -> Chain {
        let mut chain = self.global_chain();
        self.extend(&mut chain, &service.chain, Level::Service);
        chain
    }

    fn global_chain(&self) -> Chain {
        let mut chain = Chain::default();
        self.extend(&mut chain, &self.chain, Level::Global);
        chain
    }

    /// The second part, for this consumer of the set.
    pub fn consumer_chain(&self, consumer: &Consumer) -> Chain {
        let mut chain = Chain { broken: self.broken(Kind::Consumer, consumer.name.as_str()), ..Chain::default() };
        self.extend(&mut chain, &consumer.chain, Level::Consumer);
        chain
    }

    /// Why a route can't be served on this node, its plugins apart.
    pub fn why_broken(&self, route: &Route) -> Option<String> {
        let upstream = self.services.get(&route.service).and_then(|service| match &service.destination {
            Destination::Upstream { upstream, .. } => Some(upstream.as_str()),
            Destination::Host { .. } => None,
        });
        self.broken(Kind::Route, route.name.as_str())
            .or_else(|| self.broken(Kind::Service, route.service.as_str()))
            .or_else(|| self.broken(Kind::Upstream, upstream?))
            .or_else(|| self.broken(Kind::Chain, Kind::GLOBAL))
    }

    fn broken(&self, kind: Kind, name: &str) -> Option<String> {
        if self.broken.is_empty() {
            return None;
        }
        let reason = self.broken.get(&(kind, name.to_owned()))?;
        Some(format!("{kind} `{name}`: {reason}"))
    }

    /// What is allowed on this route but probably not meant.
    pub fn lint_route(&self, route: &Route) -> Vec<String> {
        let links = self.route_chain(route).links;
        let Some(identified) = links.iter().position(|link| link.plugin.grants.credentials) else {
            return Vec::new();
        };
        let too_early = links[..identified].iter().filter(|link| counts_by_consumer(&link.plugin));
        too_early
            .map(|link| {
                let (early, authentication) = (&link.plugin.name, &links[identified].plugin.name);
                format!("`{early}` counts by consumer but runs before `{authentication}`, which finds out who calls")
            })
            .collect()
    }

    fn extend(&self, chain: &mut Chain, entries: &[ChainEntry], level: Level) {
        for entry in entries {
            if let Some(reason) = self.broken(Kind::Plugin, entry.plugin.as_str()) {
                chain.broken.get_or_insert(reason);
            }
            // Leaving out a plugin would let requests pass that it should have stopped.
            let Some(plugin) = self.plugins.get(&entry.plugin) else {
                chain.broken.get_or_insert_with(|| format!("there is no plugin `{}` on this node", entry.plugin));
                continue;
            };
            let link = ChainLink { plugin: Arc::clone(plugin), when: entry.when.clone(), level };
            match chain.links.iter_mut().find(|outer| outer.plugin.name == entry.plugin) {
                Some(outer) => *outer = link,
                None => chain.links.push(link),
            }
        }
    }
}

/// Whether `by = "consumer"` stands anywhere in the settings, as it does for the throttling plugins.
fn counts_by_consumer(plugin: &Plugin) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Object(table) => {
                table.iter().any(|(key, value)| (key == "by" && value == "consumer") || within(value))
            }
            Value::Array(items) => items.iter().any(within),
            _ => false,
        }
    }
    plugin.config.values().any(within) || plugin.config.get("by").is_some_and(|by| by == "consumer")
}
