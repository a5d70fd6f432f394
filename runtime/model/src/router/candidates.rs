//! Why a route serves a request: all routes that could have, in the [order](super), and those that nearly could.

use std::sync::Arc;

use super::order::{self, Alternative};
use crate::condition::RequestFacts;
use crate::entity::{HostPattern, PathPattern, Route};

/// What a request found.
#[derive(Debug, Default, PartialEq)]
pub struct Candidates<'r> {
    /// Routes that match, each with the best of its hosts and paths. The first one serves.
    pub matching: Vec<Considered<'r>>,
    /// Routes whose paths match, but that something else of theirs keeps from serving; the least missed first.
    pub missed: Vec<(Considered<'r>, Vec<Miss<'r>>)>,
}

/// A route, and by which of its hosts and paths it was looked at; `None` where it states none.
#[derive(Clone, Debug, PartialEq)]
pub struct Considered<'r> {
    pub route: &'r Arc<Route>,
    pub host: Option<&'r HostPattern>,
    pub path: Option<&'r PathPattern>,
}

/// What a request does not have of what a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss<'r> {
    Method,
    /// By name.
    Header(&'r str),
    /// By name.
    Query(&'r str),
    Host,
}

/// What puts one route in front of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    Priority,
    Host,
    Path,
    Conditions,
    Name,
}

/// Looks at every route, one after the other: O(n), for questions of people and not for serving.
pub fn candidates<'r>(routes: impl IntoIterator<Item = &'r Arc<Route>>, facts: &impl RequestFacts) -> Candidates<'r> {
    let mut found = Candidates::default();
    for route in routes {
        let mut paths = order::alternatives_of(0, route)
            .filter(|one| one.path.is_none_or(|(_, path)| path.matches(facts.path())))
            .collect::<Vec<_>>();
        paths.sort_by(order::compare);
        let has_host = |one: &&Alternative<'_>| one.host.is_none_or(|(_, host)| host.matches(facts.host()));
        let (best, mut misses) = match (paths.iter().find(has_host), paths.first()) {
            (Some(best), _) => (best, Vec::new()),
            (None, Some(best)) => (best, vec![Miss::Host]),
            (None, None) => continue,
        };
        misses.extend(conditions_missed(route, facts));
        let considered =
            Considered { route, host: best.host.map(|(_, host)| host), path: best.path.map(|(_, path)| path) };
        match misses.is_empty() {
            true => found.matching.push(considered),
            false => found.missed.push((considered, misses)),
        }
    }
    found.matching.sort_by(|a, b| order::compare(&a.alternative(), &b.alternative()));
    // Another host is further away than another method.
    let distance = |misses: &[Miss<'_>]| (misses.contains(&Miss::Host), misses.len());
    found.missed.sort_by(|(a, one), (b, other)| {
        distance(one).cmp(&distance(other)).then_with(|| order::compare(&a.alternative(), &b.alternative()))
    });
    found
}

fn conditions_missed<'r>(route: &'r Route, facts: &impl RequestFacts) -> Vec<Miss<'r>> {
    let method = (!route.methods.is_empty() && !route.methods.contains(facts.method())).then_some(Miss::Method);
    let headers = route.headers.iter().filter(|header| !header.matches(facts.headers()));
    let query = route.query.iter().filter(|parameter| !parameter.matches(facts.query()));
    let headers = headers.map(|header| Miss::Header(header.name.as_str()));
    method.into_iter().chain(headers).chain(query.map(|parameter| Miss::Query(&parameter.name))).collect()
}

impl Considered<'_> {
    /// Why this one comes before `other`, a later one of the same request.
    pub fn before(&self, other: &Considered<'_>) -> Decided {
        if self.route.priority != other.route.priority {
            Decided::Priority
        } else if order::host_class(self.host) != order::host_class(other.host) {
            Decided::Host
        } else if order::compare_paths(self.path, other.path).is_ne() {
            Decided::Path
        } else if order::conditions(self.route) != order::conditions(other.route) {
            Decided::Conditions
        } else {
            Decided::Name
        }
    }

    /// Length of what `strip_path` takes off a path that this matched.
    pub fn matched_prefix(&self) -> usize {
        match self.path {
            Some(PathPattern::Prefix(prefix)) => prefix.trim_end_matches('/').len(),
            _ => 0,
        }
    }

    fn alternative(&self) -> Alternative<'_> {
        Alternative {
            route: self.route,
            index: 0,
            host: self.host.map(|host| (0, host)),
            path: self.path.map(|path| (0, path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::tests::RouteText;
    use super::*;
    use crate::Router;
    use crate::condition::tests::Request;

    fn routes(texts: &[(&str, RouteText)]) -> Vec<Arc<Route>> {
        texts.iter().map(|(name, text)| Arc::new(text.named(name))).collect()
    }

    fn at(path: &str) -> RouteText {
        RouteText { paths: vec![path.to_owned()], ..RouteText::default() }
    }

    fn names<'c>(considered: impl IntoIterator<Item = &'c Considered<'c>>) -> Vec<&'c str> {
        considered.into_iter().map(|one| one.route.name.as_str()).collect()
    }

    #[test]
    fn all_that_match_are_told_in_the_order_of_the_router_and_why() {
        let routes = routes(&[
            ("catch-all", at("/")),
            ("exact", at("=/orders/1")),
            ("hosted", RouteText { hosts: vec!["*.example.com"], ..at("/") }),
            ("important", RouteText { priority: 1, ..at("/") }),
            ("posts", RouteText { methods: vec![Method::GET], ..at("/") }),
            ("twin", at("/")),
            ("elsewhere", at("/other")),
        ]);
        let request = Request::get("shop.example.com", "/orders/1");
        let found = candidates(&routes, &request);
        assert_eq!(names(&found.matching), ["important", "hosted", "exact", "posts", "catch-all", "twin"]);
        let reasons: Vec<Decided> = found.matching.windows(2).map(|pair| pair[0].before(&pair[1])).collect();
        use Decided::{Conditions, Host, Name, Path, Priority};
        assert_eq!(reasons, [Priority, Host, Path, Conditions, Name]);
        assert!(found.missed.is_empty());
        let router = Router::build(routes.iter().map(|route| (Arc::clone(route), route.name.to_string())));
        let served = router.find(&request).expect("a route");
        assert_eq!((served.route.as_str(), served.matched_prefix), ("important", found.matching[0].matched_prefix()));
    }

    #[test]
    fn what_keeps_a_route_from_serving_is_told() {
        let routes = routes(&[
            ("host", RouteText { hosts: vec!["a.test"], ..at("/orders") }),
            ("method", RouteText { methods: vec![Method::POST], ..at("/orders") }),
            ("more", RouteText { headers: vec![("x-version", vec!["2"])], query: vec![("beta", vec![])], ..at("/") }),
        ]);
        let found = candidates(&routes, &Request::get("b.test", "/orders/1"));
        assert!(found.matching.is_empty());
        let missed: Vec<_> = found.missed.iter().map(|(one, misses)| (one.route.name.as_str(), &misses[..])).collect();
        assert_eq!(
            missed,
            [
                ("method", &[Miss::Method][..]),
                ("more", &[Miss::Header("x-version"), Miss::Query("beta")]),
                ("host", &[Miss::Host]),
            ]
        );
    }

    #[test]
    fn the_prefix_that_is_stripped_is_the_one_that_matched() {
        let routes = routes(&[("two", RouteText { paths: vec!["/".into(), "/a".into()], ..RouteText::default() })]);
        let length = |path| candidates(&routes, &Request::get("a.test", path)).matching[0].matched_prefix();
        assert_eq!((length("/a/b"), length("/b")), (2, 0));
    }
}
