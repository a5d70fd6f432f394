//! From a whole tree to the edits that lead there.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};
use tollgate_model::decode::{Place, closest};
use tollgate_model::problem::Problem;
use tollgate_model::set::EntityEdit;
use tollgate_model::{ConfigSet, Kind, Problems};

use crate::admin::stored::entity::{Entity, whole};
use crate::admin::stored::history::ChangeView;
use crate::admin::stored::plan::Sent;
use crate::admin::stored::{consumer_keys, hidden, plan};
use crate::writer::{Draft, Plan, WriteError};

pub(super) struct Apply {
    pub(super) tree: Value,
    /// Whether what is not named goes.
    pub(super) prune: bool,
    /// Whether to tell how each entity was and would be.
    pub(super) with_bodies: bool,
}

pub(super) struct Applied {
    pub(super) changes: Vec<ChangeView>,
}

impl Plan for Apply {
    type Outcome = Applied;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Applied, WriteError> {
        let mut wanted = read(&self.tree)?;
        restore(draft, &mut wanted).await?;
        let known = draft.known();
        let gone = if self.prune { unnamed(&known.set, &wanted) } else { Vec::new() };
        let next = draft.previewed(edits(&wanted, &gone)).await?;
        let mut changes = Vec::new();
        for ((kind, name), sent) in &wanted {
            let is_broken = known.set.broken.contains_key(&(*kind, name.clone()));
            let was = is_broken || is_there(&known.set, *kind, name);
            if is_broken || !is_same(&known.set, &next, *kind, name) {
                let change = ChangeView::new(*kind, name, was, true);
                changes.push(self.bodies(draft, change, *kind, name, Some(sent)).await?);
                draft.put(*kind, name, sent.tags.clone(), sent.body.clone(), None, None);
            }
            if let Some(keys) = &sent.keys {
                changes.append(&mut consumer_keys::replace(draft, name, keys, !was).await?);
            }
        }
        for (kind, name) in gone {
            let change = ChangeView::new(kind, &name, true, false);
            changes.push(self.bodies(draft, change, kind, &name, None).await?);
            plan::delete(draft, kind, &name).await?;
        }
        Ok(Applied { changes })
    }
}

impl Apply {
    async fn bodies(
        &self,
        draft: &mut Draft<'_>,
        change: ChangeView,
        kind: Kind,
        name: &str,
        sent: Option<&Sent>,
    ) -> Result<ChangeView, WriteError> {
        if !self.with_bodies {
            return Ok(change);
        }
        let shown = |entity: Entity| serde_json::to_value(entity.view()).unwrap_or_default();
        let before = draft.row(kind, name).await?.map(|row| shown(Entity::of_row(&row, draft.vault())));
        let after = sent.map(|sent| shown(Entity::read(kind, name, &sent.tags, sent.body.clone())));
        Ok(change.with_bodies(before, after))
    }
}

type Wanted = BTreeMap<(Kind, String), Sent>;

/// What of a tree is stored as rows, besides the chain.
const SECTIONS: [Kind; 7] =
    [Kind::Plugin, Kind::Certificate, Kind::Sni, Kind::Upstream, Kind::Service, Kind::Route, Kind::Consumer];

/// Takes a tree apart; what entities say is looked at later.
fn read(tree: &Value) -> Result<Wanted, WriteError> {
    let mut problems = Problems::default();
    let mut wanted = Wanted::new();
    let empty = Map::new();
    for (key, value) in tree.as_object().unwrap_or(&empty) {
        let place = Place::Root.key(key);
        let section = SECTIONS.into_iter().find(|kind| kind.section() == key);
        match (section, value) {
            (_, Value::Null) => {}
            (Some(kind), Value::Array(rows)) => {
                for (index, row) in rows.iter().enumerate() {
                    entity(kind, row, &place.index(index), &mut wanted, &mut problems);
                }
            }
            (Some(_), _) => problems.add(Problem::new(&place, "expected a list of tables")),
            (None, chain) if key == "chain" => {
                let body = Value::Object(Map::from_iter([("chain".to_owned(), chain.clone())]));
                let sent = Sent { name: Kind::GLOBAL.to_owned(), tags: Vec::new(), body, keys: None };
                wanted.insert((Kind::Chain, Kind::GLOBAL.to_owned()), sent);
            }
            (None, _) => {
                let known = SECTIONS.map(Kind::section).into_iter().chain(["chain"]);
                let problem = Problem::new(&place, format!("unknown key `{key}`"));
                problems.add(match closest(key, known) {
                    Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
    }
    problems.into_result(wanted).map_err(WriteError::from)
}

fn entity(kind: Kind, row: &Value, place: &Place<'_>, wanted: &mut Wanted, problems: &mut Problems) {
    let key = if kind == Kind::Sni { "host" } else { "name" };
    let Some(table) = row.as_object() else { return problems.add(Problem::new(place, "expected a table")) };
    if table.get(key).is_none_or(Value::is_null) {
        return problems.add(Problem::new(place, format!("`{key}` is missing")));
    }
    match Sent::read(kind, table.clone(), None) {
        Ok(sent) => {
            let name = sent.name.clone();
            if wanted.insert((kind, name.clone()), sent).is_some() {
                problems.add(Problem::new(&place.key(key), format!("the {key} `{name}` is taken")));
            }
        }
        Err(WriteError::Problems(more)) => problems.0.extend(more.0),
        Err(other) => problems.add(Problem::new(place, other.to_string())),
    }
}

/// Secrets that were sent as they are shown.
async fn restore(draft: &mut Draft<'_>, wanted: &mut Wanted) -> Result<(), WriteError> {
    for ((kind, name), sent) in wanted.iter_mut().filter(|(_, sent)| hidden::is_in(&sent.body)) {
        let stored = match draft.row(*kind, name).await? {
            Some(row) => Some(draft.opened(&row)?),
            None => None,
        };
        sent.restore(*kind, stored.as_ref())?;
    }
    Ok(())
}

/// All that is there and not named.
fn unnamed(set: &ConfigSet, wanted: &Wanted) -> Vec<(Kind, String)> {
    let named: HashSet<(Kind, &str)> = wanted.keys().map(|(kind, name)| (*kind, name.as_str())).collect();
    let mut gone = BTreeSet::new();
    let mut look = |kind: Kind, name: String| {
        if !named.contains(&(kind, name.as_str())) {
            gone.insert((kind, name));
        }
    };
    set.broken.keys().filter(|(kind, _)| SECTIONS.contains(kind)).for_each(|(kind, name)| look(*kind, name.clone()));
    set.plugins.keys().for_each(|name| look(Kind::Plugin, name.to_string()));
    set.certificates.keys().for_each(|name| look(Kind::Certificate, name.to_string()));
    set.snis.iter().for_each(|sni| look(Kind::Sni, sni.host.to_string()));
    set.upstreams.keys().for_each(|name| look(Kind::Upstream, name.to_string()));
    set.services.keys().for_each(|name| look(Kind::Service, name.to_string()));
    set.routes.keys().for_each(|name| look(Kind::Route, name.to_string()));
    set.consumers.keys().for_each(|name| look(Kind::Consumer, name.to_string()));
    if !set.chain.is_empty() {
        look(Kind::Chain, Kind::GLOBAL.to_owned());
    }
    gone.into_iter().collect()
}

/// All of it, also what is there already.
fn edits(wanted: &Wanted, gone: &[(Kind, String)]) -> Vec<EntityEdit> {
    let puts = wanted.iter().map(|((kind, name), sent)| EntityEdit {
        kind: *kind,
        name: name.clone(),
        body: Some(tagged(whole(*kind, name, &sent.tags, sent.body.clone()))),
    });
    let deletes = gone.iter().map(|(kind, name)| EntityEdit { kind: *kind, name: name.clone(), body: None });
    puts.chain(deletes).collect()
}

/// As an edit has it: without the name.
fn tagged(mut body: Value) -> Value {
    if let Value::Object(table) = &mut body {
        table.remove("name");
        table.remove("host");
    }
    body
}

fn is_there(set: &ConfigSet, kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Chain => !set.chain.is_empty(),
        Kind::Plugin => set.plugins.contains_key(name),
        Kind::Certificate => set.certificates.contains_key(name),
        Kind::Sni => set.snis.iter().any(|sni| sni.host.to_string() == name),
        Kind::Upstream => set.upstreams.contains_key(name),
        Kind::Service => set.services.contains_key(name),
        Kind::Route => set.routes.contains_key(name),
        Kind::Consumer => set.consumers.contains_key(name),
        Kind::Key | Kind::Token | Kind::Module => false,
    }
}

/// Whether an entity means the same in both, however it is written.
fn is_same(before: &ConfigSet, after: &ConfigSet, kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Chain => before.chain == after.chain,
        Kind::Plugin => before.plugins.get(name) == after.plugins.get(name),
        Kind::Certificate => before.certificates.get(name) == after.certificates.get(name),
        Kind::Upstream => before.upstreams.get(name) == after.upstreams.get(name),
        Kind::Service => before.services.get(name) == after.services.get(name),
        Kind::Route => before.routes.get(name) == after.routes.get(name),
        Kind::Consumer => before.consumers.get(name) == after.consumers.get(name),
        Kind::Sni => {
            let find = |set: &ConfigSet| set.snis.iter().find(|sni| sni.host.to_string() == name).cloned();
            find(before) == find(after)
        }
        Kind::Key | Kind::Token | Kind::Module => true,
    }
}
