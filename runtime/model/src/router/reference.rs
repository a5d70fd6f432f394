//! A second, plain router: a scan of all routes that works out the documented order anew for each request.

use std::cmp::Reverse;
use std::sync::Arc;

use regex::Regex;

use crate::RequestFacts;
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

/// Name and matched prefix of the winner. Knows no doubled braces.
pub(super) fn scan(routes: &[Arc<Route>], request: &impl RequestFacts) -> Option<(String, usize)> {
    let keys = routes.iter().filter(|route| conditions_match(route, request)).flat_map(|route| {
        let hosts = host_keys(&route.hosts, request.host());
        let paths = path_keys(&route.paths, request.path());
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
            let part = |part: &str| match part.split_once('}') {
                None => regex::escape(part),
                Some((name, fixed)) => {
                    let any = if name.starts_with('*') { ".+" } else { "[^/]+" };
                    format!("{any}{}", regex::escape(fixed))
                }
            };
            format!("^{}$", text.split('{').map(part).collect::<String>())
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

/// Requests and routes for this have plain queries, so there is nothing to decode.
fn conditions_match(route: &Route, request: &impl RequestFacts) -> bool {
    let methods = route.methods.is_empty() || route.methods.contains(request.method());
    let headers = route.headers.iter().all(|header| {
        let mut values = request.headers().get_all(&header.name).iter();
        values.any(|value| header.values.is_empty() || header.values.iter().any(|own| value == own.as_str()))
    });
    let query = route.query.iter().all(|parameter| {
        let mut pairs = request.query().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.any(|(name, value)| {
            name == parameter.name && (parameter.values.is_empty() || parameter.values.iter().any(|own| own == value))
        })
    });
    methods && headers && query
}
