//! A set changed by edits: at the door strictly, on followers without refusing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ConfigSet, overlap, reuse_named, typed};
use crate::decode::{Decode, Place};
use crate::entity::{Certificate, ChainEntry, Consumer, Plugin, Route, Service, Sni, Upstream};
use crate::problem::Problem;
use crate::{Kind, Name, Problems};

/// What becomes of one entity. Kinds that are not in a set (keys, tokens, modules) are passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityEdit {
    pub kind: Kind,
    pub name: String,
    /// Its table in `gateway.toml`, without `name`; `None`: it is deleted.
    pub body: Option<Value>,
}

impl ConfigSet {
    /// The set after these edits, which are one unit: one may name what another makes. Untouched entities are not
    /// looked into, so that one edit among 100,000 routes costs milliseconds.
    ///
    /// # Errors
    /// All that is wrong, at places such as `routes.orders.paths[0]`.
    pub fn edit(&self, edits: &[EntityEdit]) -> Result<ConfigSet, Problems> {
        let (mut next, mut problems) = (self.clone(), Problems::default());
        let mut touched = Touched::default();
        let mut last = HashMap::new();
        for (place, edit) in edits.iter().enumerate() {
            last.insert((edit.kind, edit.name.as_str()), place);
        }
        // Of several edits of an entity the last one counts.
        let counts = |place: usize, edit: &EntityEdit| last[&(edit.kind, edit.name.as_str())] == place;
        for (_, edit) in edits.iter().enumerate().filter(|(place, edit)| counts(*place, edit)) {
            match next.take(edit, &mut problems) {
                Some(()) => touched.note(edit),
                None => touched.refused.push(edit),
            }
        }
        typed::check(&next, &touched, &mut problems);
        overlap::check_touched(&next.routes, &touched, &mut problems);
        problems.into_result(next)
    }

    /// As [`ConfigSet::edit`] of edits that were accepted elsewhere, perhaps by a newer version. What can't be used here
    /// is in [`ConfigSet::broken`], and whatever depends on it fails closed.
    pub fn follow(&self, edits: &[EntityEdit]) -> ConfigSet {
        let mut next = self.clone();
        for edit in edits {
            next.broken.remove(&(edit.kind, edit.name.clone()));
            let mut problems = Problems::default();
            if next.take(edit, &mut problems).is_none() {
                let reason = problems.0.first().map(Problem::to_string).unwrap_or_default();
                next.take_what_is_known(edit, problems);
                next.broken.insert((edit.kind, edit.name.clone()), format!("this version can't use it: {reason}"));
            }
        }
        next
    }

    /// Takes the entities of `previous` where they are equal.
    pub fn share(&mut self, previous: &ConfigSet) {
        share(&mut self.services, &previous.services);
        share(&mut self.upstreams, &previous.upstreams);
        share(&mut self.routes, &previous.routes);
        share(&mut self.consumers, &previous.consumers);
        share(&mut self.certificates, &previous.certificates);
        share(&mut self.plugins, &previous.plugins);
    }

    /// `None`: refused, and the set is as it was.
    fn take(&mut self, edit: &EntityEdit, problems: &mut Problems) -> Option<()> {
        match edit.kind {
            Kind::Service => taken(&mut self.services, edit, problems),
            Kind::Upstream => taken(&mut self.upstreams, edit, problems),
            Kind::Route => taken(&mut self.routes, edit, problems),
            Kind::Consumer => taken(&mut self.consumers, edit, problems),
            Kind::Certificate => taken(&mut self.certificates, edit, problems),
            Kind::Plugin => taken(&mut self.plugins, edit, problems),
            Kind::Sni => self.take_sni(edit, problems),
            Kind::Chain => self.take_chain(edit, problems),
            Kind::Key | Kind::Token | Kind::Module => Some(()),
        }
    }

    fn take_sni(&mut self, edit: &EntityEdit, problems: &mut Problems) -> Option<()> {
        let section = Place::Root.key(Kind::Sni.section());
        let place = section.key(&edit.name);
        let before = self.snis.iter().position(|sni| sni.host.to_string() == edit.name);
        match &edit.body {
            None => {
                before.map(|at| self.snis.remove(at));
            }
            Some(body) => {
                let sni = Sni::decode(&with(body, "host", &edit.name), &place, problems)?;
                let host = sni.host.to_string();
                if host != edit.name {
                    problems.add(Problem::new(&place, format!("a host is written in lower case here, as `{host}`")));
                    return None;
                }
                match before {
                    Some(at) if *self.snis[at] == sni => {}
                    Some(at) => self.snis[at] = Arc::new(sni),
                    None => self.snis.push(Arc::new(sni)),
                }
            }
        }
        Some(())
    }

    fn take_chain(&mut self, edit: &EntityEdit, problems: &mut Problems) -> Option<()> {
        let place = Place::Root.key("chain");
        let entries = edit.body.as_ref().and_then(|body| body.get("chain"));
        self.chain = match entries {
            None => Vec::new(),
            Some(entries) => Vec::<ChainEntry>::decode(entries, &place, problems)?,
        };
        Some(())
    }

    /// An entity without what is wrong with it, one problem after the other: rather known in part than not at all. What
    /// can't be read at all stays as it was; a service that was not there becomes one that nobody reaches.
    fn take_what_is_known(&mut self, edit: &EntityEdit, mut problems: Problems) {
        let mut edit = edit.clone();
        for _ in 0..MOST_REPAIRS {
            let below = format!("{}.", Place::Root.key(edit.kind.section()).key(&edit.name));
            let places = problems.0.iter().filter_map(|problem| problem.path.strip_prefix(&below));
            let body = edit.body.as_mut().and_then(Value::as_object_mut);
            let Some(body) = body else { break };
            let before = body.len();
            for place in places {
                let key = place.split(['.', '[']).next().unwrap_or_default().trim_matches('"').to_owned();
                body.remove(&key);
            }
            let is_shorter = body.len() < before;
            problems = Problems::default();
            if !is_shorter || self.take(&edit, &mut problems).is_some() {
                break;
            }
        }
        let is_unknown = Name::parse(&edit.name).is_ok_and(|name| !self.services.contains_key(&name));
        if edit.kind == Kind::Service && is_unknown {
            edit.body = Some(Value::Object(Map::from_iter([("url".to_owned(), UNREACHABLE.into())])));
            self.take(&edit, &mut problems);
        }
    }
}

/// What edits touch, by kind.
#[derive(Default)]
pub(super) struct Touched<'e> {
    pub(super) put: BTreeSet<(Kind, String)>,
    pub(super) deleted: HashSet<(Kind, String)>,
    /// What is wrong by itself; what it names is looked for all the same.
    pub(super) refused: Vec<&'e EntityEdit>,
}

impl Touched<'_> {
    fn note(&mut self, edit: &EntityEdit) {
        let key = (edit.kind, edit.name.clone());
        if edit.body.is_some() {
            self.deleted.remove(&key);
            self.put.insert(key);
        } else {
            self.put.remove(&key);
            self.deleted.insert(key);
        }
    }
}

fn taken<T: Decode + super::Named + PartialEq>(
    entities: &mut BTreeMap<Name, Arc<T>>,
    edit: &EntityEdit,
    problems: &mut Problems,
) -> Option<()> {
    let section = Place::Root.key(edit.kind.section());
    let place = section.key(&edit.name);
    match &edit.body {
        None => {
            entities.remove(edit.name.as_str());
        }
        Some(body) => {
            let entity = T::decode(&with(body, "name", &edit.name), &place, problems)?;
            let entity = reuse_named(entity, entities);
            entities.insert(entity.name().clone(), entity);
        }
    }
    Some(())
}

/// The table with its name in it, as a file has it.
fn with(body: &Value, key: &str, name: &str) -> Value {
    let mut body = body.clone();
    if let Value::Object(table) = &mut body {
        table.insert(key.to_owned(), name.into());
    }
    body
}

fn share<T: PartialEq>(entities: &mut BTreeMap<Name, Arc<T>>, previous: &BTreeMap<Name, Arc<T>>) {
    for (name, entity) in entities {
        if let Some(before) = previous.get(name).filter(|before| *before == entity) {
            *entity = Arc::clone(before);
        }
    }
}

/// Of the kinds that are decoded here, none has as many keys.
const MOST_REPAIRS: usize = 32;
/// Port 9 of the own machine discards; nothing is sent there, as the routes of a broken service answer 503.
const UNREACHABLE: &str = "http://127.0.0.1:9";

// The kinds that `taken` is for.
const _: fn(Service, Upstream, Route, Consumer, Certificate, Plugin) = |_, _, _, _, _, _| {};

#[cfg(test)]
mod tests;
