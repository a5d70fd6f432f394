//! Routes that can't be told apart.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::Arc;

use super::edit::Touched;
use crate::decode::Place;
use crate::entity::{PathPattern, Route};
use crate::problem::Problem;
use crate::{Kind, Name, Problems};

/// Reports routes with equal conditions and equal priority: one of them would never be reached, and
/// which one would be chance. Each route with its position in `routes`.
pub(super) fn check(routes: &[(usize, Route)], place: &Place<'_>, problems: &mut Problems) {
    let mut seen: HashMap<String, (usize, &Route)> = HashMap::with_capacity(routes.len());
    for (index, route) in routes {
        let Some((first, other)) = seen.insert(fingerprint(route), (*index, route)) else { continue };
        if other.name == route.name {
            continue; // Reported as a duplicate name already.
        }
        let message = format!("matches the same requests as the route `{}`, with the same priority", other.name);
        let problem = Problem::new(&place.index(*index), message).with_elsewhere(&place.index(first), "the other one");
        problems.add(problem.with_hint("give one of them a higher `priority` or another condition"));
    }
}

/// As [`check`], of routes that edits touched.
pub(super) fn check_touched(routes: &BTreeMap<Name, Arc<Route>>, touched: &Touched<'_>, problems: &mut Problems) {
    let put: Vec<&Arc<Route>> = touched
        .put
        .iter()
        .filter(|(kind, _)| *kind == Kind::Route)
        .filter_map(|(_, name)| routes.get(name.as_str()))
        .collect();
    let mut found = |route: &Route, other: &Route| {
        let section = Place::Root.key("routes");
        let message = format!("matches the same requests as the route `{}`, with the same priority", other.name);
        let place = section.key(route.name.as_str());
        problems.add(Problem::new(&place, message).with_hint("give one of them a higher `priority` or another condition"));
    };
    if put.len() > FEW {
        let mut seen: HashMap<String, &Route> = HashMap::with_capacity(routes.len());
        // Those that were there come first: what is new is what is wrong.
        let is_put = |route: &Route| touched.put.contains(&(Kind::Route, route.name.as_str().to_owned()));
        let (new, old): (Vec<_>, Vec<_>) = routes.values().partition(|route| is_put(route));
        for route in old.into_iter().chain(new) {
            if let Some(other) = seen.insert(fingerprint(route), route) {
                found(route, other);
            }
        }
        return;
    }
    for (index, route) in put.iter().enumerate() {
        let print = fingerprint(route);
        let is_earlier = |other: &Route| put[..index].iter().any(|earlier| earlier.name == other.name);
        let mut others = routes.values().filter(|other| other.name != route.name && may_be_alike(route, other));
        // Of a pair it is said once.
        if let Some(other) = others.find(|other| fingerprint(other) == print)
            && !is_earlier(other)
        {
            found(route, other);
        }
    }
}

/// Cheap, and true of all that are alike: the text that most differ in is compared first.
fn may_be_alike(a: &Route, b: &Route) -> bool {
    let same_path = match (&a.paths[..], &b.paths[..]) {
        ([PathPattern::Exact(a)], [PathPattern::Exact(b)]) | ([PathPattern::Prefix(a)], [PathPattern::Prefix(b)]) => a == b,
        ([PathPattern::Exact(_)], [PathPattern::Prefix(_)]) | ([PathPattern::Prefix(_)], [PathPattern::Exact(_)]) => false,
        _ => true,
    };
    same_path && a.priority == b.priority && a.headers.len() == b.headers.len() && a.query.len() == b.query.len()
}

/// Up to so many edited routes are compared with each other one.
const FEW: usize = 64;

/// Equal texts for routes that match the same requests: order does not count, nor do the names of
/// parameters.
fn fingerprint(route: &Route) -> String {
    let headers = route.headers.iter().map(|header| format!("{:?}{}", header.name, listed(&header.values)));
    let query = route.query.iter().map(|parameter| format!("{:?}{}", parameter.name, listed(&parameter.values)));
    let paths = route.paths.iter().map(|path| match path {
        PathPattern::Parameters(pattern) => without_parameter_names(pattern),
        other => other.to_string(),
    });
    [
        listed(&route.hosts),
        listed(paths),
        listed(&route.methods),
        listed(headers),
        listed(query),
        route.priority.to_string(),
    ]
    .join("\n")
}

fn listed<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let mut texts: Vec<String> = values.into_iter().map(|value| format!("{:?}", value.to_string())).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join(",")
}

/// `/users/{id}` becomes `/users/{}`, `/files/{*rest}` becomes `/files/{*}`; doubled braces are text.
fn without_parameter_names(pattern: &str) -> String {
    let mut bare = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, braces) = rest.split_at(at);
        bare.push_str(before);
        if braces.starts_with("{{") || braces.starts_with("}}") {
            bare.push_str(&braces[..2]);
            rest = &braces[2..];
            continue;
        }
        let end = braces.find('}').map_or(braces.len(), |end| end + 1);
        bare.push_str(if braces.starts_with("{*") { "{*}" } else { "{}" });
        rest = &braces[end..];
    }
    bare.push_str(rest);
    bare
}
