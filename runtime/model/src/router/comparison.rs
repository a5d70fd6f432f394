//! The router against the plain one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use http::Method;
use proptest::prelude::*;

use super::Router;
use super::reference::scan;
use super::tests::RouteText;
use crate::condition::tests::Request;
use crate::entity::Route;

fn any_path_pattern() -> impl Strategy<Value = String> {
    let fixed = || prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 0..4);
    let segment = prop::sample::select(vec!["a", "b", "ab", "{x}", "{y}", "a{x}", "{x}b", "a{x}b", "{x}ab"]);
    let rest = prop::sample::select(vec!["", "/{*rest}", "/{*tail}"]);
    let parameters = (prop::collection::vec(segment, 1..4), rest)
        .prop_map(|(segments, rest)| format!("/{}{rest}", segments.join("/")))
        .prop_filter("has a parameter", |pattern| pattern.contains('{'));
    prop_oneof![
        2 => (fixed(), prop::sample::select(vec!["", "/"])).prop_map(|(s, end)| format!("=/{}{end}", s.join("/"))),
        3 => fixed().prop_map(|segments| format!("/{}", segments.join("/"))),
        4 => parameters,
        1 => prop::sample::select(vec!["~/a.*", "~/[ab]+", "~/.*", "~/b.*", "~/(a|b)/.*"]).prop_map(str::to_owned),
    ]
}

prop_compose! {
    fn any_route()(
        priority in prop_oneof![4 => Just(0), 1 => -1..2],
        hosts in prop::collection::vec(
            prop::sample::select(vec!["t", "a.t", "b.a.t", "*.t", "*.a.t", "*.b.a.t"]), 0..3),
        paths in prop::collection::vec(any_path_pattern(), 0..3),
        methods in prop_oneof![3 => Just(vec![]), 1 => Just(vec![Method::GET]), 1 => Just(vec![Method::POST, Method::PUT])],
        headers in prop::collection::vec(
            prop::sample::select(vec![("x-a", vec!["1"]), ("x-a", vec![]), ("x-b", vec!["1", "2"])]), 0..2),
        query in prop::collection::vec(prop::sample::select(vec![("q", vec!["1"]), ("q", vec![]), ("p", vec!["2"])]), 0..2),
    ) -> RouteText {
        RouteText { priority, hosts, paths, methods, headers, query }
    }
}

prop_compose! {
    fn any_request()(
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::DELETE]),
        host in prop::sample::select(vec!["", "t", ".t", "a.t", "b.a.t", "c.b.a.t", "d.c.b.a.t", "at", "other"]),
        segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "aab", "acb", "c", ""]), 0..5),
        query in prop::sample::select(vec!["", "?q=1", "?q=2&p=2", "?p=2&q"]),
        headers in prop::collection::vec((prop::sample::select(vec!["x-a", "x-b"]), prop::sample::select(vec!["1", "2"])), 0..3),
    ) -> Request {
        let request = Request::get(host, &format!("/{}{query}", segments.join("/"))).method(method);
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_router_finds_what_a_scan_of_all_routes_finds(
        routes in prop::collection::vec(any_route(), 0..20),
        requests in prop::collection::vec(any_request(), 1..20),
    ) {
        let routes: Vec<_> = (0..).zip(&routes).map(|(i, text)| Arc::new(text.named(&format!("r{i}")))).collect();
        let router = Router::build(routes.iter().map(|route| (Arc::clone(route), route.name.to_string())));
        for request in requests {
            let found = router.find(&request).map(|found| (found.route.clone(), found.matched_prefix));
            prop_assert_eq!(found, scan(&routes, &request), "{:?}", request);
        }
    }

    #[test]
    fn a_changed_router_finds_what_a_scan_of_its_routes_finds(
        first in prop::collection::vec(any_route(), 0..20),
        changes in prop::collection::vec(prop::collection::vec((0usize..24, prop::option::of(any_route())), 1..5), 1..8),
        requests in prop::collection::vec(any_request(), 1..10),
    ) {
        let named = |place: usize, text: &RouteText| Arc::new(text.named(&format!("r{place}")));
        let mut routes: BTreeMap<usize, Arc<Route>> =
            first.iter().enumerate().map(|(place, text)| (place, named(place, text))).collect();
        let valued = |route: &Arc<Route>| (Arc::clone(route), route.name.to_string());
        let mut router = Router::build(routes.values().map(valued));
        for change in changes {
            let (mut removed, mut put) = (HashSet::<Arc<str>>::new(), BTreeMap::new());
            for (place, text) in change {
                match text {
                    Some(text) => drop(put.insert(place, named(place, &text))),
                    None => drop(removed.insert(Arc::from(format!("r{place}")))),
                }
            }
            routes.retain(|place, _| !removed.contains(&*format!("r{place}")));
            routes.extend(put.clone());
            router = router.changed(&removed, put.values().map(valued));
            let all: Vec<_> = routes.values().cloned().collect();
            for request in &requests {
                let found = router.find(request).map(|found| (found.route.clone(), found.matched_prefix));
                prop_assert_eq!(found, scan(&all, request), "{:?}", request);
            }
        }
    }
}
