//! The documented order, as a comparison.

use std::cmp::{Ordering, Reverse};
use std::iter;
use std::sync::Arc;

use crate::condition::matching::Segment;
use crate::entity::{HostPattern, PathPattern, Route};

/// One of the pairs of host and path that a route stands for.
pub(super) struct Alternative<'r> {
    pub(super) route: &'r Arc<Route>,
    /// Of the route, in the order of building.
    pub(super) index: u32,
    /// With its index in the route's `hosts`.
    pub(super) host: Option<(usize, &'r HostPattern)>,
    /// With its index in the route's `paths`.
    pub(super) path: Option<(usize, &'r PathPattern)>,
}

/// The alternatives of all routes, the one that wins over all others first.
pub(super) fn ranked(routes: &[Arc<Route>]) -> Vec<Alternative<'_>> {
    let mut alternatives = Vec::with_capacity(routes.len());
    for (index, route) in (0..).zip(routes) {
        alternatives.extend(alternatives_of(index, route));
    }
    alternatives.sort_by(compare);
    alternatives
}

/// Each pair of a host and a path.
pub(super) fn alternatives_of(index: u32, route: &Arc<Route>) -> impl Iterator<Item = Alternative<'_>> {
    any_of(&route.hosts)
        .flat_map(move |host| any_of(&route.paths).map(move |path| Alternative { route, index, host, path }))
}

/// Each of the patterns, or once "none stated".
fn any_of<P>(patterns: &[P]) -> impl Iterator<Item = Option<(usize, &P)>> {
    let none = patterns.is_empty().then_some(None);
    patterns.iter().enumerate().map(Some).chain(none)
}

/// Equal are only pairs of one route.
pub(super) fn compare(a: &Alternative<'_>, b: &Alternative<'_>) -> Ordering {
    b.route
        .priority
        .cmp(&a.route.priority)
        .then_with(|| host_class(a.host.map(|(_, host)| host)).cmp(&host_class(b.host.map(|(_, host)| host))))
        .then_with(|| compare_paths(a.path.map(|(_, path)| path), b.path.map(|(_, path)| path)))
        .then_with(|| conditions(b.route).cmp(&conditions(a.route)))
        .then_with(|| a.route.name.cmp(&b.route.name))
}

pub(super) fn host_class(host: Option<&HostPattern>) -> (u8, Reverse<usize>) {
    match host {
        Some(HostPattern::Exact(_)) => (0, Reverse(0)),
        Some(HostPattern::Wildcard(suffix)) => (1, Reverse(suffix.len())),
        None => (2, Reverse(0)),
    }
}

pub(super) fn compare_paths(a: Option<&PathPattern>, b: Option<&PathPattern>) -> Ordering {
    path_class(a).cmp(&path_class(b)).then_with(|| steps(a).cmp(steps(b)))
}

fn path_class(path: Option<&PathPattern>) -> (u8, Reverse<usize>) {
    match path {
        Some(PathPattern::Exact(_) | PathPattern::Prefix(_) | PathPattern::Parameters(_)) => (0, Reverse(0)),
        Some(PathPattern::Regex(regex)) => (1, Reverse(regex.as_str().len())),
        None => (2, Reverse(0)),
    }
}

/// How tightly a pattern holds a path, segment by segment, the tighter the smaller. The text itself
/// is left out: patterns that differ in it alone never match the same path.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    End,
    Literal,
    Parameter { fixed: Reverse<usize>, in_front: Reverse<usize> },
    Rest,
    OpenEnd,
}

fn steps(path: Option<&PathPattern>) -> impl Iterator<Item = Step> {
    let (text, last) = match path {
        Some(PathPattern::Exact(text) | PathPattern::Parameters(text)) => (text.as_str(), Step::End),
        Some(PathPattern::Prefix(text)) => (text.trim_end_matches('/'), Step::OpenEnd),
        Some(PathPattern::Regex(_)) | None => ("", Step::End),
    };
    let with_parameters = matches!(path, Some(PathPattern::Parameters(_)));
    let step = move |segment| if with_parameters { step(Segment::parse(segment)) } else { Step::Literal };
    text.split('/').skip(1).map(step).chain(iter::once(last))
}

fn step(segment: Segment<'_>) -> Step {
    match segment {
        Segment::Literal(_) => Step::Literal,
        Segment::Parameter { before, after } => {
            Step::Parameter { fixed: Reverse(before.len() + after.len()), in_front: Reverse(before.len()) }
        }
        Segment::Rest => Step::Rest,
    }
}

/// The more the greater.
pub(super) fn conditions(route: &Route) -> (bool, usize, usize) {
    (!route.methods.is_empty(), route.headers.len(), route.query.len())
}
