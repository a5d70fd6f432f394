//! Names that have to lead somewhere.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::decode::{Place, closest};
use crate::problem::Problem;
use crate::{Name, Problems};

/// Reports names that no entity has, and plugins that stand twice in one level of a chain.
pub(super) fn check(tree: &Value, problems: &mut Problems) {
    let root = Place::Root;
    let mut check = Check {
        services: Section::open(tree, "services", "service"),
        upstreams: Section::open(tree, "upstreams", "upstream"),
        certificates: Section::open(tree, "certificates", "certificate"),
        plugins: Section::open(tree, "plugins", "plugin"),
        suggestions_left: MOST_SUGGESTIONS,
        problems,
    };
    check.chain(tree, &root);
    for (section, key) in [("services", "upstream"), ("routes", "service"), ("snis", "certificate"), ("consumers", "")]
    {
        let place = root.key(section);
        for (index, row) in rows(tree, section) {
            let place = place.index(index);
            check.reference(row, key, &place);
            check.client_certificate(row, &place);
            check.chain(row, &place);
        }
    }
}

/// Rows of an array of tables, with their positions; none if there is no such array.
pub(super) fn rows<'t>(tree: &'t Value, section: &str) -> impl Iterator<Item = (usize, &'t Value)> {
    tree.get(section).and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// Looking for the nearest name reads all of them. More hints than this nobody needs.
const MOST_SUGGESTIONS: usize = 100;

struct Check<'t, 'p> {
    services: Section<'t>,
    upstreams: Section<'t>,
    certificates: Section<'t>,
    plugins: Section<'t>,
    suggestions_left: usize,
    problems: &'p mut Problems,
}

/// The names of one kind of entity, refused ones included.
struct Section<'t> {
    key: &'static str,
    singular: &'static str,
    names: HashSet<&'t str>,
}

impl<'t> Section<'t> {
    fn open(tree: &'t Value, key: &'static str, singular: &'static str) -> Section<'t> {
        let names = rows(tree, key).filter_map(|(_, row)| row.get("name")?.as_str()).collect();
        Section { key, singular, names }
    }
}

impl Check<'_, '_> {
    fn reference(&mut self, row: &Value, key: &str, place: &Place<'_>) {
        let section = match key {
            "service" => &self.services,
            "upstream" => &self.upstreams,
            "certificate" => &self.certificates,
            _ => return,
        };
        let missing =
            row.get(key).and_then(|name| dangling(name, section, &place.key(key), &mut self.suggestions_left));
        self.problems.0.extend(missing);
    }

    /// What a service shows its targets.
    fn client_certificate(&mut self, row: &Value, place: &Place<'_>) {
        let Some(name) = row.get("tls").and_then(|tls| tls.get("client_certificate")) else { return };
        let place = place.key("tls");
        let place = place.key("client_certificate");
        self.problems.0.extend(dangling(name, &self.certificates, &place, &mut self.suggestions_left));
    }

    /// The `chain` of a row or, for the global one, of the whole tree.
    fn chain(&mut self, row: &Value, place: &Place<'_>) {
        let place = place.key("chain");
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (index, entry) in rows(row, "chain") {
            let place = place.index(index);
            let (name, name_place) = match entry.get("plugin") {
                Some(name) => (name, place.key("plugin")),
                None => (entry, place),
            };
            let missing = dangling(name, &self.plugins, &name_place, &mut self.suggestions_left);
            self.problems.0.extend(missing);
            let Some(text) = name.as_str() else { continue };
            if let Some(first) = seen.insert(text, index) {
                let list = row_list(&place);
                let problem = Problem::new(&name_place, format!("the plugin `{text}` is in this chain twice"))
                    .with_elsewhere(&list.index(first), "first named here")
                    .with_hint("to run a module twice, make a second `[[plugins]]` of it with a name of its own");
                self.problems.add(problem);
            }
        }
    }
}

/// The list an item's place is in.
fn row_list<'a>(item: &Place<'a>) -> Place<'a> {
    match item {
        Place::Index(list, _) => **list,
        other => *other,
    }
}

/// `None` as well for what is no name at all: decoding has reported that.
fn dangling(name: &Value, section: &Section<'_>, place: &Place<'_>, suggestions_left: &mut usize) -> Option<Problem> {
    let name = name.as_str()?;
    if section.names.contains(name) || Name::parse(name).is_err() {
        return None;
    }
    let problem = Problem::new(place, format!("there is no {} `{name}`", section.singular));
    if section.names.is_empty() {
        return Some(problem.with_hint(format!("add [[{}]] with name = \"{name}\"", section.key)));
    }
    let suggested = match suggestions_left.checked_sub(1) {
        Some(left) => {
            *suggestions_left = left;
            closest(name, section.names.iter().copied())
        }
        None => None,
    };
    Some(match suggested {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem,
    })
}
