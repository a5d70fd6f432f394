//! Plugins, what they are set to and how they fare, and the modules that they run on.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tollgate_model::entity::{ChainEntry, Plugin};
use tollgate_model::{ConfigSet, Name};

use super::Node;
use super::answer::{EntityName, answer};
use super::paging::Paging;
use crate::node::{ModuleView, PluginState, PluginStatus};
use crate::refusal::Refusal;
use crate::view::PluginView;

#[derive(Serialize)]
struct PluginList<'a> {
    data: Vec<PluginRow<'a>>,
    next: Option<String>,
    modules: Vec<ModuleView>,
}

#[derive(Serialize)]
pub(super) struct PluginRow<'a> {
    #[serde(flatten)]
    plugin: PluginView<'a>,
    /// Null while a change is being put in place.
    state: Option<PluginState>,
    reason: Option<String>,
    generation: Option<u64>,
    digest: Option<String>,
    #[serde(flatten)]
    uses: Uses,
}

/// Where a plugin stands in a chain.
#[derive(Clone, Default, Serialize)]
struct Uses {
    /// `global`, `service orders`, `route orders`, `consumer demo`; the first hundred.
    used_by: Vec<String>,
    used_by_count: usize,
}

const SHOWN_USES: usize = 100;

pub(super) async fn list(State(node): State<Node>, paging: Paging) -> Result<Response, Refusal> {
    let set = node.configuration();
    let mut rows = Rows::new(&set, node.plugins());
    let page = paging.page(set.plugins.keys().map(|name| (name.as_str(), name)));
    let data = page.data.into_iter().filter_map(|name| rows.take(name.as_str())).collect();
    answer(&PluginList { data, next: page.next, modules: sorted_modules(&node) })
}

pub(super) async fn one(State(node): State<Node>, EntityName(name): EntityName) -> Result<Response, Refusal> {
    let set = node.configuration();
    match Rows::new(&set, node.plugins()).take(&name) {
        Some(row) => answer(&row),
        None => Err(Refusal::NoEntity { kind: "plugin", name }),
    }
}

pub(super) async fn modules(State(node): State<Node>, paging: Paging) -> Result<Response, Refusal> {
    answer(&paging.page(sorted_modules(&node).into_iter().map(|module| (module.name.clone(), module))))
}

fn sorted_modules(node: &Node) -> Vec<ModuleView> {
    let mut modules = node.modules();
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    modules
}

/// Joins what plugins are set to with how they fare and where they stand.
pub(super) struct Rows<'a> {
    set: &'a ConfigSet,
    statuses: HashMap<String, PluginStatus>,
    uses: HashMap<&'a Name, Uses>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(set: &'a ConfigSet, statuses: Vec<PluginStatus>) -> Rows<'a> {
        let statuses = statuses.into_iter().map(|status| (status.name.clone(), status)).collect();
        Rows { set, statuses, uses: uses(set) }
    }

    fn take(&mut self, name: &str) -> Option<PluginRow<'a>> {
        let plugin = self.set.plugins.get(name)?;
        Some(self.join(plugin))
    }

    /// As the plugin is told to be, in the set or newer.
    pub(super) fn join<'p>(&mut self, plugin: &'p Plugin) -> PluginRow<'p> {
        let uses = self.uses.remove(&plugin.name).unwrap_or_default();
        let status = self.statuses.remove(plugin.name.as_str());
        let state = status.as_ref().map(|status| status.state);
        let (reason, generation, digest) = match status {
            Some(status) => (status.reason, status.generation, status.digest),
            None => (None, None, None),
        };
        PluginRow { plugin: PluginView::from(plugin), state, reason, generation, digest, uses }
    }
}

fn uses(set: &ConfigSet) -> HashMap<&Name, Uses> {
    let mut uses = HashMap::new();
    note(&mut uses, &set.chain, || "global".to_owned());
    for (name, service) in &set.services {
        note(&mut uses, &service.chain, || format!("service {name}"));
    }
    for (name, route) in &set.routes {
        note(&mut uses, &route.chain, || format!("route {name}"));
    }
    for (name, consumer) in &set.consumers {
        note(&mut uses, &consumer.chain, || format!("consumer {name}"));
    }
    uses
}

fn note<'a>(uses: &mut HashMap<&'a Name, Uses>, chain: &'a [ChainEntry], place: impl Fn() -> String) {
    for entry in chain {
        let uses = uses.entry(&entry.plugin).or_default();
        uses.used_by_count += 1;
        if uses.used_by.len() < SHOWN_USES {
            uses.used_by.push(place());
        }
    }
}
