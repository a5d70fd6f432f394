use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tollgate_model::entity::ChainEntry;
use tollgate_model::{Chain, ChainLink, ConfigSet, Level, Name};
use tollgate_plugin_host::{CompiledChain, Degraded, PluginUse, Prepared};

use super::builder::Wanted;
use super::changes::differing;

/// The plugins of a snapshot.
#[derive(Clone, Default)]
pub(super) struct Plugins {
    prepared: Arc<BTreeMap<Name, Use>>,
    /// Of all uses: a request may have been refused before it came to the one that it was for.
    secret_parameters: Arc<[Box<str>]>,
    /// The global chain alone, without its broken plugins: who logs requests that no route took, or one
    /// that can't be served.
    unrouted: Option<Arc<CompiledChain>>,
}

type Use = Result<Arc<PluginUse>, Degraded>;

/// Which plugins are not what they were in the snapshot before.
pub(super) struct Altered {
    names: HashSet<Name, RandomState>,
    /// The global chain, or one of its plugins.
    global: bool,
}

impl Plugins {
    pub(super) fn next(&self, wanted: &Wanted<'_>) -> (Plugins, Altered) {
        let Wanted { set, prepared, last, .. } = wanted;
        let names: HashSet<Name, RandomState> = differing(&self.prepared, &prepared.plugins, are_one, are_equal)
            .into_iter()
            .map(|change| change.name.clone())
            .collect();
        let global = set.chain != last.set.chain || set.chain.iter().any(|entry| names.contains(&entry.plugin));
        let mut next = self.clone();
        if !names.is_empty() {
            next.prepared = Arc::new(prepared.plugins.clone());
            next.secret_parameters = secret_parameters(&next.prepared);
        }
        if global || last.number == 0 {
            next.unrouted = CompiledChain::compile(&intact_global_chain(set, prepared), prepared).ok();
        }
        (next, Altered { names, global })
    }

    /// Told by their address, so that workers need not compare them.
    pub(super) fn are(&self, other: &Plugins) -> bool {
        Arc::ptr_eq(&self.prepared, &other.prepared)
    }

    pub(super) fn uses(&self) -> impl Iterator<Item = &Arc<PluginUse>> {
        self.prepared.values().filter_map(|plugin| plugin.as_ref().ok())
    }

    pub(super) fn secret_parameters(&self) -> &[Box<str>] {
        &self.secret_parameters
    }

    pub(super) fn unrouted(&self) -> Option<&Arc<CompiledChain>> {
        self.unrouted.as_ref()
    }
}

impl Altered {
    pub(super) fn is_changed(&self, plugin: &Name) -> bool {
        self.names.contains(plugin)
    }

    /// Nothing that stands in any chain.
    pub(super) fn is_nothing(&self) -> bool {
        self.names.is_empty() && !self.global
    }

    /// Whether a chain in which these entries stand after the global ones may be another.
    pub(super) fn concerns(&self, entries: &[ChainEntry]) -> bool {
        self.global || entries.iter().any(|entry| self.is_changed(&entry.plugin))
    }
}

fn are_one(old: &Use, new: &Use) -> bool {
    matches!((old, new), (Ok(old), Ok(new)) if Arc::ptr_eq(old, new))
}

fn are_equal(old: &Use, new: &Use) -> bool {
    match (old, new) {
        (Err(old), Err(new)) => old == new,
        _ => are_one(old, new),
    }
}

fn secret_parameters(plugins: &BTreeMap<Name, Use>) -> Arc<[Box<str>]> {
    let uses = plugins.values().filter_map(|plugin| plugin.as_ref().ok());
    let mut parameters: Vec<Box<str>> = uses.flat_map(|plugin| plugin.secret_parameters()).cloned().collect();
    parameters.sort();
    parameters.dedup();
    parameters.into()
}

fn intact_global_chain(set: &ConfigSet, prepared: &Prepared) -> Chain {
    let is_intact = |plugin: &Name| prepared.plugins.get(plugin).is_some_and(Result::is_ok);
    let links = set.chain.iter().filter(|entry| is_intact(&entry.plugin)).filter_map(|entry| {
        let plugin = Arc::clone(set.plugins.get(&entry.plugin)?);
        Some(ChainLink { plugin, when: entry.when.clone(), level: Level::Global })
    });
    Chain { links: links.collect(), broken: None }
}
