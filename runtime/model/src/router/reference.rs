//! The router against a second, plain one: a scan of all routes that works out the documented order
//! anew for each request.

use std::cmp::Reverse;
use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use regex::Regex;

use super::Router;
use super::tests::RouteText;
use crate::condition::tests::Request;
use crate::entity::{HostPattern, PathPattern, Route};

/// Priority, host, path, conditions, name: the smaller wins.
type Key = (Reverse<i32>, (u8, Reverse<usize>), PathKey, Reverse<(bool, usize, usize)>, String);

/// Kind, length of a regular expression, then per segment its kind and its amount of fixed text.
type PathKey = (u8, Reverse<usize>, Vec<(u8, Reverse<usize>, Reverse<usize>)>);

const END: u8 = 0;
const FIXED: u8 = 1;
const PARAMETER: u8 = 2;
const REST: u8 = 3;
const OPEN: u8 = 4;

/// Name and matched prefix of the winner.
fn scan(routes: &[Arc<Route>], request: &Request) -> Option<(String, usize)> {
    let keys = routes.iter().filter(|route| conditions_match(route, request)).flat_map(|route| {
        let hosts = host_keys(&route.hosts, &request.host);
        let paths = path_keys(&route.paths, &request.path);
        let conditions = Reverse((!route.methods.is_empty(), route.headers.len(), route.query.len()));
        hosts.into_iter().flat_map(move |host| {
            let name = route.name.to_string();
            let key = move |path| (Reverse(route.priority), host, path, conditions, name.clone());
            paths.clone().into_iter().map(move |(path, prefix)| (key(path), prefix)).collect::<Vec<(Key, usize)>>()
        })
    });
    keys.min().map(|(key, prefix)| (key.4, prefix))
}

fn host_keys(hosts: &[HostPattern], host: &str) -> Vec<(u8, Reverse<usize>)> {
    if hosts.is_empty() {
        return vec![(2, Reverse(0))];
    }
    let key = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(exact) => (exact == host).then_some((0, Reverse(0))),
        HostPattern::Wildcard(suffix) => {
            let front = host.strip_suffix(suffix.as_str())?;
            (!front.is_empty()).then_some((1, Reverse(suffix.len())))
        }
    };
    hosts.iter().filter_map(key).collect()
}

fn path_keys(paths: &[PathPattern], path: &str) -> Vec<(PathKey, usize)> {
    if paths.is_empty() {
        return vec![((2, Reverse(0), Vec::new()), 0)];
    }
    paths.iter().filter(|pattern| as_regex(pattern).is_match(path)).map(path_key).collect()
}

fn as_regex(pattern: &PathPattern) -> Regex {
    let text = match pattern {
        PathPattern::Exact(text) => format!("^{}$", regex::escape(text)),
        PathPattern::Prefix(text) => format!("^{}(/.*)?$", regex::escape(text.trim_end_matches('/'))),
        PathPattern::Parameters(text) => {
            let rest = Regex::new(r"\{\*[a-z]+\}$").expect("valid").replace(text, ".+");
            format!("^{}$", Regex::new(r"\{[a-z]+\}").expect("valid").replace_all(&rest, "[^/]+"))
        }
        PathPattern::Regex(regex) => regex.as_str().to_owned(),
    };
    Regex::new(&text).expect("valid")
}

fn path_key(pattern: &PathPattern) -> (PathKey, usize) {
    let fixed = |text: &str| vec![(FIXED, Reverse(0), Reverse(0)); text.matches('/').count()];
    let end = |kind| (kind, Reverse(0), Reverse(0));
    let (segments, prefix) = match pattern {
        PathPattern::Exact(text) => ([fixed(text), vec![end(END)]].concat(), 0),
        PathPattern::Prefix(text) => {
            let text = text.trim_end_matches('/');
            ([fixed(text), vec![end(OPEN)]].concat(), text.len())
        }
        PathPattern::Parameters(text) => {
            let segments = text.split('/').skip(1).map(|segment| match (segment.find('{'), segment.find('}')) {
                (Some(_), _) if segment.contains("{*") => end(REST),
                (Some(open), Some(close)) => (PARAMETER, Reverse(segment.len() - (close - open + 1)), Reverse(open)),
                _ => (FIXED, Reverse(0), Reverse(0)),
            });
            (segments.chain([end(END)]).collect(), 0)
        }
        PathPattern::Regex(regex) => return ((1, Reverse(regex.as_str().len()), Vec::new()), 0),
    };
    ((0, Reverse(0), segments), prefix)
}

/// The generated requests have plain queries, so there is nothing to decode.
fn conditions_match(route: &Route, request: &Request) -> bool {
    let methods = route.methods.is_empty() || route.methods.contains(&request.method);
    let headers = route.headers.iter().all(|header| {
        let mut values = request.headers.get_all(&header.name).iter();
        values.any(|value| header.values.is_empty() || header.values.iter().any(|own| value == own.as_str()))
    });
    let query = route.query.iter().all(|parameter| {
        let mut pairs = request.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.any(|(name, value)| {
            name == parameter.name && (parameter.values.is_empty() || parameter.values.iter().any(|own| own == value))
        })
    });
    methods && headers && query
}

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
}
