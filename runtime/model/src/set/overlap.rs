//! Routes that can't be told apart.

use std::collections::HashMap;
use std::fmt::Display;

use crate::Problems;
use crate::decode::Place;
use crate::entity::{PathPattern, Route};
use crate::problem::Problem;

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
