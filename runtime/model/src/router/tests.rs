use std::sync::Arc;

use http::Method;

use super::Router;
use crate::Name;
use crate::condition::tests::{Request, header, host, path, query};
use crate::entity::Route;

/// A route as a test writes it.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteText {
    pub(super) priority: i32,
    pub(super) hosts: Vec<&'static str>,
    pub(super) paths: Vec<String>,
    pub(super) methods: Vec<Method>,
    pub(super) headers: Vec<(&'static str, Vec<&'static str>)>,
    pub(super) query: Vec<(&'static str, Vec<&'static str>)>,
}

impl RouteText {
    pub(super) fn named(&self, name: &str) -> Route {
        let name = Name::parse(name).expect("a test writes valid names");
        Route {
            service: name.clone(),
            name,
            hosts: self.hosts.iter().map(|text| host(text)).collect(),
            paths: self.paths.iter().map(|text| path(text)).collect(),
            methods: self.methods.clone(),
            headers: self.headers.iter().map(|(name, values)| header(name, values)).collect(),
            query: self.query.iter().map(|(name, values)| query(name, values)).collect(),
            priority: self.priority,
            strip_path: false,
            preserve_host: false,
            chain: Vec::new(),
            tags: Vec::new(),
        }
    }

    fn priority(mut self, priority: i32) -> RouteText {
        self.priority = priority;
        self
    }

    fn on(mut self, host: &'static str) -> RouteText {
        self.hosts.push(host);
        self
    }

    fn or(mut self, path: &str) -> RouteText {
        self.paths.push(path.to_owned());
        self
    }

    fn method(mut self, method: Method) -> RouteText {
        self.methods.push(method);
        self
    }

    fn header(mut self, name: &'static str, values: &[&'static str]) -> RouteText {
        self.headers.push((name, values.to_vec()));
        self
    }

    fn query(mut self, name: &'static str, values: &[&'static str]) -> RouteText {
        self.query.push((name, values.to_vec()));
        self
    }
}

/// A route with one path.
fn at(path: &str) -> RouteText {
    RouteText::default().or(path)
}

/// A route that states no path.
fn anywhere() -> RouteText {
    RouteText::default()
}

/// Names the routes so that the last of them would win by name.
fn router(routes: &[RouteText]) -> Router<usize> {
    let name = |place: usize| format!("r{:03}", routes.len() - place);
    Router::build(routes.iter().enumerate().map(|(i, text)| (Arc::new(text.named(&name(i))), i)))
}

fn found(routes: &[RouteText], request: &Request) -> Option<usize> {
    router(routes).find(request).map(|found| *found.route)
}

/// The routes all match the request, and each wins over those after it, however they are listed.
#[track_caller]
fn assert_order(request: &Request, routes: &[RouteText]) {
    for rest in 0..routes.len() {
        assert_eq!(found(&routes[rest..], request), Some(0), "{:?} first", routes[rest]);
        let reversed: Vec<_> = routes[rest..].iter().rev().cloned().collect();
        assert_eq!(found(&reversed, request), Some(reversed.len() - 1), "{:?} first", routes[rest]);
    }
}

#[test]
fn priority_wins_over_everything() {
    assert_order(
        &Request::get("a.test", "/x"),
        &[
            anywhere().priority(2),
            at("~/.*").priority(1),
            at("=/x").on("a.test").method(Method::GET),
            at("=/x").on("a.test").priority(-1),
        ],
    );
}

#[test]
fn hosts_go_exact_then_longer_wildcard_then_none() {
    assert_order(
        &Request::get("a.b.test", "/x"),
        &[at("/").on("a.b.test"), at("=/x").on("*.b.test"), at("=/x").on("*.test"), at("=/x").method(Method::GET)],
    );
}

#[test]
fn a_wildcard_stands_for_one_or_more_labels() {
    let routes = [anywhere().on("*.example.com")];
    assert_eq!(found(&routes, &Request::get("a.example.com", "/")), Some(0));
    assert_eq!(found(&routes, &Request::get("a.b.example.com", "/")), Some(0));
    for host in ["example.com", ".example.com", "badexample.com", "a.example.com.evil", ""] {
        assert_eq!(found(&routes, &Request::get(host, "/")), None, "{host}");
    }
}

#[test]
fn paths_go_from_the_tightest_to_none() {
    assert_order(
        &Request::get("", "/users/me/posts"),
        &[
            at("=/users/me/posts"),
            at("/users/me/po{x}"),
            at("/users/me/{x}ts"),
            at("/users/me/{x}"),
            at("/users/me/{*x}"),
            at("/users/me"),
            at("/users/m{x}/posts"),
            at("/users/{x}/posts"),
            at("/users/{x}/{y}"),
            at("/users/{x}/{*y}"),
            at("/users/{*x}"),
            at("/users"),
            at("/{x}/me/posts"),
            at("/{x}/{*y}"),
            at("/{*x}"),
            at("/"),
            at("~/users/me/.*"),
            at("~/users/.*"),
            anywhere().method(Method::GET),
        ],
    );
}

#[test]
fn a_prefix_that_equals_the_path_comes_after_the_exact_path() {
    assert_order(&Request::get("", "/orders"), &[at("=/orders"), at("/orders"), at("/")]);
}

#[test]
fn conditions_go_methods_then_headers_then_query_then_name() {
    let request = Request::get("", "/x?p=1&q=2").header("x-a", "1").header("x-b", "1");
    let x = || at("/x");
    assert_order(
        &request,
        &[
            x().method(Method::GET).header("x-a", &[]).query("p", &[]),
            x().method(Method::GET).query("p", &["1"]).query("q", &[]),
            x().method(Method::GET),
            x().header("x-a", &[]).header("x-b", &["1"]),
            x().header("x-a", &[]).query("p", &[]).query("q", &[]),
            x().query("p", &[]).query("q", &["2"]),
            x().query("p", &[]),
            x(),
        ],
    );
    // The helper names later routes alphabetically earlier.
    assert_eq!(found(&[x(), x(), x()], &request), Some(2));
}

#[test]
fn a_route_whose_conditions_fail_leaves_the_request_to_the_next() {
    let routes = [
        at("=/users/me").method(Method::PUT),
        at("/users/{id}").header("x-version", &["2"]),
        at("/users/{*rest}").query("debug", &[]),
        at("/users").on("*.test").method(Method::DELETE),
        at("/users"),
    ];
    let get = Request::get("a.test", "/users/me");
    assert_eq!(found(&routes, &get), Some(4));
    assert_eq!(found(&routes, &get.clone().method(Method::PUT)), Some(0));
    assert_eq!(found(&routes, &get.clone().header("x-version", "2")), Some(1));
    assert_eq!(found(&routes, &Request::get("a.test", "/users/me?debug")), Some(2));
    assert_eq!(found(&routes, &get.method(Method::DELETE)), Some(3));
}

#[test]
fn patterns_that_differ_in_names_or_overlap_stand_beside_each_other() {
    let routes = [
        at("/a/{x}").method(Method::GET),
        at("/a/{y}").method(Method::PUT),
        at("/a/{*rest}").method(Method::POST),
        at("/{any}/b").method(Method::DELETE),
    ];
    let request = Request::get("", "/a/b");
    assert_eq!(found(&routes, &request), Some(0));
    assert_eq!(found(&routes, &request.clone().method(Method::PUT)), Some(1));
    assert_eq!(found(&routes, &request.clone().method(Method::POST)), Some(2));
    assert_eq!(found(&routes, &request.method(Method::DELETE)), Some(3));
}

#[test]
fn prefixes_end_at_segment_borders_and_report_their_length() {
    let router = router(&[at("/orders"), at("/orders/new/~draft"), at("/"), at("=/exact")]);
    let tried = |path: &str| router.find(&Request::get("", path)).map(|found| (*found.route, found.matched_prefix));
    assert_eq!(tried("/orders"), Some((0, 7)));
    assert_eq!(tried("/orders/"), Some((0, 7)));
    assert_eq!(tried("/orders/new/~drafts"), Some((0, 7)));
    assert_eq!(tried("/orders/new/~draft/1/2/3/4/5"), Some((1, 18)));
    assert_eq!(tried("/ordersx"), Some((2, 0)));
    assert_eq!(tried("/"), Some((2, 0)));
    assert_eq!(tried("*"), Some((2, 0)));
    assert_eq!(tried("/exact"), Some((3, 0)));
}

#[test]
fn parameters_and_expressions_match_the_whole_path() {
    let routes = [at("/users/{id}"), at("~/v[0-9]+")];
    for path in ["/users", "/users/", "/users/1/", "/users/1/x", "/v1/", "/x/v1", ""] {
        assert_eq!(found(&routes, &Request::get("", path)), None, "{path}");
    }
}

#[test]
fn the_best_of_several_hosts_and_paths_counts() {
    let several = at("/").or("/a").or("=/a/b").on("*.test").on("x.test");
    let single = at("/a/{x}").on("x.test");
    let router = router(&[several, single]);
    let tried = |host: &str, path: &str| {
        router.find(&Request::get(host, path)).map(|found| (*found.route, found.matched_prefix))
    };
    assert_eq!(tried("x.test", "/a/b"), Some((0, 0)));
    assert_eq!(tried("x.test", "/a/c"), Some((1, 0)));
    assert_eq!(tried("y.test", "/a/c"), Some((0, 2)));
}

#[test]
fn nothing_is_found_where_nothing_matches() {
    assert_eq!(found(&[], &Request::get("a.test", "/")), None);
    assert_eq!(found(&[at("=/x").on("a.test")], &Request::get("", "/x")), None);
}

#[test]
fn doubled_braces_are_text() {
    let routes = [at("/{{id}}"), at("/{id}")];
    assert_eq!(found(&routes, &Request::get("", "/{id}")), Some(0));
    assert_eq!(found(&routes, &Request::get("", "/7")), Some(1));
}

/// Patterns may be as long as a request's head; the lookup must not take stack for each segment.
#[test]
fn very_long_patterns_are_found() {
    let text = "/{x}".repeat(50_000);
    let request = Request::get("", &"/a".repeat(50_000));
    assert_eq!(found(&[at(&text), at("/")], &request), Some(0));
}
