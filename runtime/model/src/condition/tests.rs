use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{AddressBlock, Condition, RequestFacts};
use crate::entity::{HeaderMatch, HostPattern, PathPattern, QueryMatch};

/// A request as a test writes it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) client: IpAddr,
}

impl Request {
    pub(crate) fn get(host: &str, path: &str) -> Request {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (host, path, query) = (host.to_owned(), path.to_owned(), query.to_owned());
        Request { method: Method::GET, host, path, query, headers: HeaderMap::new(), client: [192, 0, 2, 1].into() }
    }

    pub(crate) fn method(mut self, method: Method) -> Request {
        self.method = method;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Request {
        self.headers.append(name, HeaderValue::from_str(value).expect("a test writes valid headers"));
        self
    }

    pub(crate) fn from(mut self, client: &str) -> Request {
        self.client = client.parse().expect("a test writes valid addresses");
        self
    }
}

impl RequestFacts for Request {
    fn method(&self) -> &Method {
        &self.method
    }
    fn host(&self) -> &str {
        &self.host
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> &str {
        &self.query
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    fn client_address(&self) -> IpAddr {
        self.client
    }
}

/// A path as a configuration writes it.
pub(crate) fn path(text: &str) -> PathPattern {
    if let Some(exact) = text.strip_prefix('=') {
        PathPattern::Exact(exact.to_owned())
    } else if let Some(regex) = text.strip_prefix('~') {
        PathPattern::Regex(regex::Regex::new(&format!("^(?:{regex})$")).expect("a test writes valid expressions"))
    } else if text.contains('{') {
        PathPattern::Parameters(text.to_owned())
    } else {
        PathPattern::Prefix(text.to_owned())
    }
}

pub(crate) fn host(text: &str) -> HostPattern {
    match text.strip_prefix('*') {
        Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
        None => HostPattern::Exact(text.to_owned()),
    }
}

pub(crate) fn header(name: &'static str, values: &[&str]) -> HeaderMatch {
    HeaderMatch { name: HeaderName::from_static(name), values: owned(values) }
}

pub(crate) fn query(name: &str, values: &[&str]) -> QueryMatch {
    QueryMatch { name: name.to_owned(), values: owned(values) }
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn block(text: &str) -> AddressBlock {
    let (address, prefix) = text.split_once('/').expect("a test writes a block with its prefix");
    AddressBlock { address: address.parse().expect("an address"), prefix: prefix.parse().expect("a number") }
}

#[test]
fn an_empty_condition_holds_for_every_request() {
    let empty = Condition::default();
    assert!(empty.holds(&Request::get("", "/")));
    let without_exception = Condition { not: Some(Box::default()), ..Condition::default() };
    assert!(without_exception.holds(&Request::get("", "/")));
}

#[test]
fn all_lists_must_hold_with_any_of_their_values() {
    let condition = Condition {
        methods: vec![Method::GET, Method::PUT],
        hosts: vec![host("a.test"), host("*.b.test")],
        paths: vec![path("/admin"), path("=/metrics")],
        addresses: vec![block("10.0.0.0/8"), block("192.0.2.1/32")],
        ..Condition::default()
    };
    assert!(condition.holds(&Request::get("a.test", "/admin/users")));
    assert!(condition.holds(&Request::get("x.b.test", "/metrics").method(Method::PUT).from("10.9.8.7")));
    assert!(!condition.holds(&Request::get("a.test", "/admin").method(Method::POST)));
    assert!(!condition.holds(&Request::get("b.test", "/admin")));
    assert!(!condition.holds(&Request::get("a.test", "/administration")));
    assert!(!condition.holds(&Request::get("a.test", "/admin").from("192.0.2.2")));
}

#[test]
fn every_header_and_every_query_parameter_must_hold() {
    let condition = Condition {
        headers: vec![header("x-a", &["1", "2"]), header("x-b", &[])],
        query: vec![query("q", &["hello world"]), query("page", &[])],
        ..Condition::default()
    };
    let request = Request::get("", "/?q=hello%20world&page=1").header("x-a", "9").header("x-a", "2");
    assert!(!condition.holds(&request));
    assert!(condition.holds(&request.header("x-b", "")));
    let other = Request::get("", "/?q=hello").header("x-a", "1").header("x-b", "1");
    assert!(!condition.holds(&other));
}

#[test]
fn no_part_of_not_may_hold() {
    let not = Condition { methods: vec![Method::GET], headers: vec![header("x-a", &[])], ..Condition::default() };
    let condition = Condition { not: Some(Box::new(not)), ..Condition::default() };
    let post = Request::get("", "/").method(Method::POST);
    assert!(condition.holds(&post));
    assert!(!condition.holds(&post.header("x-a", "1")));
    assert!(!condition.holds(&Request::get("", "/")));

    let not_not = Condition { not: Some(Box::new(condition)), ..Condition::default() };
    assert!(not_not.holds(&Request::get("", "/")));
    assert!(!not_not.holds(&Request::get("", "/").method(Method::POST)));
}

#[test]
fn a_block_contains_the_addresses_under_its_prefix() {
    let contains = |text: &str, address: &str| block(text).contains(address.parse().expect("an address"));
    assert!(contains("10.1.2.3/8", "10.255.0.1"));
    assert!(!contains("10.0.0.0/8", "11.0.0.0"));
    assert!(contains("0.0.0.0/0", "203.0.113.9"));
    assert!(contains("192.0.2.7/32", "192.0.2.7"));
    assert!(!contains("192.0.2.7/32", "192.0.2.6"));
    assert!(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert!(!contains("2001:db8::/33", "2001:db8:8000::1"));
    assert!(contains("::/0", "2001:db8::1"));
    assert!(contains("2001:db8::1/128", "2001:db8::1"));
}

#[test]
fn mapped_addresses_count_as_ipv4() {
    let contains = |text: &str, address: &str| block(text).contains(address.parse().expect("an address"));
    assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert!(!contains("::ffff:10.0.0.0/104", "11.1.2.3"));
    assert!(!contains("::/0", "10.1.2.3"));
    assert!(!contains("0.0.0.0/0", "2001:db8::1"));
}

#[test]
fn paths_match_at_segment_borders_or_whole() {
    let matches = |pattern: &str, tried: &str| path(pattern).matches(tried);
    assert!(matches("/orders", "/orders") && matches("/orders", "/orders/") && matches("/orders", "/orders/1"));
    assert!(!matches("/orders", "/ordersx") && !matches("/orders", "/"));
    assert!(matches("/", "/") && matches("/", "/anything"));
    assert!(matches("=/orders", "/orders") && !matches("=/orders", "/orders/"));
    assert!(matches("/users/{id}", "/users/7"));
    assert!(!matches("/users/{id}", "/users/") && !matches("/users/{id}", "/users/7/x"));
    assert!(matches("/files/{name}.json", "/files/a.json") && !matches("/files/{name}.json", "/files/.json"));
    assert!(matches("/files/{*rest}", "/files/a/b") && !matches("/files/{*rest}", "/files/"));
    assert!(matches("/{{a}}/v{{{id}}}", "/{a}/v{1}") && !matches("/{{a}}/v{{{id}}}", "/x/v{1}"));
    assert!(matches("~/v[0-9]+/.*", "/v12/x") && !matches("~/v[0-9]+", "/v1/x"));
}

#[test]
fn query_values_are_decoded() {
    let matches = |name: &str, value: &str, tried: &str| query(name, &[value]).matches(tried);
    assert!(matches("q", "a b", "q=a+b") && matches("q", "a b", "q=a%20b") && matches("q", "a+b", "q=a%2bb"));
    assert!(matches("q", "2", "q=1&q=2"));
    assert!(matches("na me", "ü", "na+me=%C3%BC"));
    assert!(matches("q", "100%", "q=100%") && matches("q", "%zz", "q=%zz") && matches("q", "%4", "q=%4"));
    assert!(matches("q", "", "q") && matches("q", "a=b", "q=a=b"));
    assert!(!matches("q", "1", "qq=1") && !matches("q", "1", "q=11") && !matches("q", "11", "q=1"));
    assert!(query("flag", &[]).matches("x=1&flag") && !query("flag", &[]).matches("flags=1"));
}
