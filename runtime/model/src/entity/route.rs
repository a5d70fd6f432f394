use super::ChainEntry;
use crate::Name;

/// Which requests go to which service. At least one of hosts, paths, methods, headers, query is set.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub name: Name,
    pub service: Name,
    /// Any of them; empty matches every host.
    pub hosts: Vec<HostPattern>,
    /// Any of them; empty matches every path.
    pub paths: Vec<PathPattern>,
    /// Any of them; empty matches every method.
    pub methods: Vec<http::Method>,
    /// All of them.
    pub headers: Vec<HeaderMatch>,
    /// All of them.
    pub query: Vec<QueryMatch>,
    /// Higher wins over every other rule of the order. Default 0.
    pub priority: i32,
    /// Cuts what a prefix path matched off the path sent upstream. Default false.
    pub strip_path: bool,
    /// Sends the client's Host instead of the target's. Default false.
    pub preserve_host: bool,
    pub chain: Vec<ChainEntry>,
    pub tags: Vec<String>,
}

/// `shop.example.com`, or `*.example.com` for one or more labels in front. Lower case, no port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Exact(String),
    /// The suffix with its leading dot: `.example.com`.
    Wildcard(String),
}

/// How a route's `paths` are written:
/// `/orders` is a prefix at segment borders, `=/orders` exact, `/users/{id}` and `/files/{*rest}`
/// have parameters (the whole path), `~/v[0-9]+/.*` is a regular expression (the whole path).
#[derive(Clone, Debug)]
pub enum PathPattern {
    Exact(String),
    /// Without trailing slash, except the root.
    Prefix(String),
    Parameters(String),
    Regex(regex::Regex),
}

/// A header of that name has one of the values (exactly), or, without values, is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    pub name: http::HeaderName,
    pub values: Vec<String>,
}

/// As [`HeaderMatch`], for a query parameter (percent-decoded).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMatch {
    pub name: String,
    pub values: Vec<String>,
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (PathPattern::Exact(a), PathPattern::Exact(b))
            | (PathPattern::Prefix(a), PathPattern::Prefix(b))
            | (PathPattern::Parameters(a), PathPattern::Parameters(b)) => a == b,
            (PathPattern::Regex(a), PathPattern::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}
