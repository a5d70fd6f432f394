//! A whole, valid configuration.

mod edit;
mod overlap;
mod references;
mod typed;
mod unique;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::decode::{Decode, Fields, Place};
use crate::entity::{Certificate, ChainEntry, Consumer, Plugin, Route, Service, Sni, Upstream};
pub use edit::EntityEdit;

use crate::{Kind, Name, Problems};

/// Entities whose references all resolve. Immutable; shared by `Arc` between old and new sets where
/// an entity did not change (`assemble` takes the previous set for that).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigSet {
    pub services: BTreeMap<Name, Arc<Service>>,
    pub upstreams: BTreeMap<Name, Arc<Upstream>>,
    pub routes: BTreeMap<Name, Arc<Route>>,
    pub consumers: BTreeMap<Name, Arc<Consumer>>,
    pub certificates: BTreeMap<Name, Arc<Certificate>>,
    pub snis: Vec<Arc<Sni>>,
    pub plugins: BTreeMap<Name, Arc<Plugin>>,
    /// The global chain.
    pub chain: Vec<ChainEntry>,
    /// What can't be used on this node, by kind and name, and why: of a set that was accepted elsewhere. Whatever
    /// depends on it fails closed.
    pub broken: BTreeMap<(Kind, String), String>,
}

impl ConfigSet {
    /// Decodes and checks a whole configuration tree (the JSON form of `gateway.toml`). Reports
    /// everything that is wrong with it at once: unknown keys, wrong types, dangling references,
    /// duplicates, impossible routes.
    ///
    /// References and duplicates are looked for in the raw tree, so that one broken entity neither
    /// hides its own further problems nor makes those that name it look broken.
    pub fn assemble(tree: &Value, previous: Option<&ConfigSet>) -> Result<ConfigSet, Problems> {
        let mut problems = Problems::default();
        let empty = ConfigSet::default();
        let set = decode(tree, previous.unwrap_or(&empty), &mut problems);
        references::check(tree, &mut problems);
        unique::check(tree, &mut problems);
        match set {
            Some(set) => problems.into_result(set),
            None => Err(problems),
        }
    }

    /// The plugins alone that are right by themselves, of a tree in which something else is wrong: their modules can
    /// be asked what they think of their settings all the same.
    pub fn plugins_alone(tree: &Value) -> ConfigSet {
        let mut elsewhere = Problems::default();
        let rows = tree.get("plugins").and_then(|rows| entities(rows, &Place::Root.key("plugins"), &mut elsewhere));
        ConfigSet { plugins: by_name(rows.unwrap_or_default(), &BTreeMap::new()), ..ConfigSet::default() }
    }
}

fn decode(tree: &Value, previous: &ConfigSet, problems: &mut Problems) -> Option<ConfigSet> {
    let mut fields = Fields::open(tree, &Place::Root, problems);
    let chain = fields.optional("chain", Vec::new());
    let services = section(&mut fields, "services", &previous.services);
    let upstreams = section(&mut fields, "upstreams", &previous.upstreams);
    let routes = fields.maybe_with("routes", |value, place, problems| {
        let routes = entities::<Route>(value, place, problems)?;
        overlap::check(&routes, place, problems);
        Some(by_name(routes, &previous.routes))
    });
    let consumers = section(&mut fields, "consumers", &previous.consumers);
    let certificates = section(&mut fields, "certificates", &previous.certificates);
    let snis = fields.optional::<Vec<Sni>>("snis", Vec::new());
    let plugins = section(&mut fields, "plugins", &previous.plugins);
    fields.finish()?;
    Some(ConfigSet {
        services,
        upstreams,
        routes: routes.unwrap_or_default(),
        consumers,
        certificates,
        snis: snis.into_iter().map(|sni| reuse(sni, previous.snis.iter())).collect(),
        plugins,
        chain,
        broken: BTreeMap::new(),
    })
}

/// An array of tables with names: the good ones, even if others of them are refused.
fn section<T: Decode + Named + PartialEq>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    previous: &BTreeMap<Name, Arc<T>>,
) -> BTreeMap<Name, Arc<T>> {
    by_name(fields.maybe_with(key, entities).unwrap_or_default(), previous)
}

/// Each entity with its position in the list.
fn entities<T: Decode>(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<(usize, T)>> {
    let Some(rows) = value.as_array() else {
        // A list is what `Vec` expects; it words the problem.
        Vec::<T>::decode(value, place, problems)?;
        return None;
    };
    let decoded = rows.iter().enumerate();
    Some(decoded.filter_map(|(i, row)| Some((i, T::decode(row, &place.index(i), problems)?))).collect())
}

fn by_name<T: Named + PartialEq>(
    entities: Vec<(usize, T)>,
    previous: &BTreeMap<Name, Arc<T>>,
) -> BTreeMap<Name, Arc<T>> {
    let shared = |entity: T| (entity.name().clone(), reuse_named(entity, previous));
    entities.into_iter().map(|(_, entity)| shared(entity)).collect()
}

fn reuse_named<T: Named + PartialEq>(entity: T, previous: &BTreeMap<Name, Arc<T>>) -> Arc<T> {
    let before = previous.get(entity.name());
    reuse(entity, before.into_iter())
}

fn reuse<'a, T: PartialEq + 'a>(value: T, mut previous: impl Iterator<Item = &'a Arc<T>>) -> Arc<T> {
    match previous.find(|before| ***before == value) {
        Some(before) => Arc::clone(before),
        None => Arc::new(value),
    }
}

trait Named {
    fn name(&self) -> &Name;
}

macro_rules! named {
    ($($entity:ty),*) => {$(
        impl Named for $entity {
            fn name(&self) -> &Name {
                &self.name
            }
        }
    )*};
}

named!(Service, Upstream, Route, Consumer, Certificate, Plugin);

#[cfg(test)]
mod tests;
