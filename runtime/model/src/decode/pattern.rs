//! Host, path, header and query patterns, methods.

use std::fmt;

use http::{HeaderName, Method};
use serde_json::{Map, Value};

use super::{Decode, Place, address, at_least_one, text};
use crate::Problems;
use crate::condition::matching::Segment;
use crate::entity::{HeaderMatch, HostPattern, PathPattern, QueryMatch};
use crate::problem::{Complaint, Problem};

impl HostPattern {
    /// Reads `shop.example.com`, `*.example.com`, `192.0.2.7` or `[::1]` (brackets are kept, as in a
    /// Host header).
    pub fn parse(text: &str) -> Result<HostPattern, Complaint> {
        if text == "*" {
            return Err(Complaint::new("matches every host", "leave `hosts` out for that"));
        }
        if text.contains("://") || text.contains('/') {
            return Err(Complaint::new("not a host", "write only the host, as in \"shop.example.com\""));
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            if suffix.contains('*') {
                return Err("only the first label can be a wildcard".into());
            }
            without_port(suffix)?;
            return Ok(HostPattern::Wildcard(format!(".{}", suffix.to_ascii_lowercase())));
        }
        if text.contains('*') {
            return Err(Complaint::new("a wildcard stands for whole labels in front", "as in \"*.example.com\""));
        }
        without_port(text)?;
        Ok(HostPattern::Exact(text.to_ascii_lowercase()))
    }
}

fn without_port(host: &str) -> Result<(), Complaint> {
    match address::parse_authority(host)?.port {
        Some(_) => Err(Complaint::new("a host pattern has no port", "leave the port out; every port matches")),
        None => Ok(()),
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl PathPattern {
    /// Reads a pattern as it is written in `paths`; see [`PathPattern`].
    pub fn parse(text: &str) -> Result<PathPattern, Complaint> {
        if let Some(pattern) = text.strip_prefix('~') {
            return parse_regex(pattern);
        }
        if let Some(path) = text.strip_prefix('=') {
            check_path(path)?;
            return Ok(PathPattern::Exact(path.to_owned()));
        }
        check_path(text)?;
        if text.contains(['{', '}']) {
            check_parameters(text)?;
            return Ok(PathPattern::Parameters(text.to_owned()));
        }
        let prefix = if text == "/" { text } else { text.trim_end_matches('/') };
        if prefix.ends_with("/*") {
            return Err(Complaint::new(
                "`*` has no meaning here",
                "a path matches everything below it; a parameter is written `{name}`, the rest of a path `{*rest}`",
            ));
        }
        Ok(PathPattern::Prefix(prefix.to_owned()))
    }
}

const ANCHOR_START: &str = "^(?:";
const ANCHOR_END: &str = ")$";

fn parse_regex(pattern: &str) -> Result<PathPattern, Complaint> {
    if pattern.is_empty() {
        return Err("the regular expression is empty".into());
    }
    // First as it stands: `a)|(b` is no expression, but would become one between the anchors.
    regex::Regex::new(pattern)
        .and_then(|_| regex::Regex::new(&format!("{ANCHOR_START}{pattern}{ANCHOR_END}")))
        .map(PathPattern::Regex)
        .map_err(|error| {
            // The last line of the report: the ones before show the expression.
            let report = error.to_string();
            let reason = report.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            format!("not a regular expression: {reason}").into()
        })
}

/// Requests are matched in normal form, so a pattern that is not in it would never match.
fn check_path(path: &str) -> Result<(), Complaint> {
    if !path.starts_with('/') {
        return Err(Complaint::new("a path starts with `/`", "as in \"/orders\", \"=/orders\" or \"~/v[0-9]+/.*\""));
    }
    if path.contains(['?', '#']) {
        return Err(Complaint::new("a path has no query and no fragment", "match the query with `query`"));
    }
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Complaint::new(
            "a path is visible ASCII without spaces",
            "write other characters percent-encoded, as requests do: \"/caf%C3%A9\"",
        ));
    }
    if path.contains("//") || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("never matches: `//`, `/./` and `/../` are resolved before routing".into());
    }
    Ok(())
}

fn check_parameters(pattern: &str) -> Result<(), Complaint> {
    use matchit::InsertError;
    let message = match matchit::Router::new().insert(pattern, ()) {
        Err(InsertError::InvalidCatchAll) => "`{*rest}` can only stand at the end, after a `/`",
        Err(InsertError::InvalidParamSegment) => "only one parameter fits into a segment",
        Err(_) => "not a path with parameters",
        Ok(()) if pattern.split('/').all(Segment::is_sound) => return Ok(()),
        Ok(()) => {
            "a segment has one parameter, `{*rest}` stands alone in its own, and the name of either has letters, digits, \
             `_` and `-` only"
        }
    };
    Err(Complaint::new(message, "as in \"/users/{id}\" or \"/files/{*rest}\"; a literal brace is doubled"))
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Exact(path) => write!(f, "={path}"),
            PathPattern::Prefix(path) | PathPattern::Parameters(path) => f.write_str(path),
            PathPattern::Regex(regex) => {
                let anchored = regex.as_str();
                let inner = anchored.strip_prefix(ANCHOR_START).and_then(|rest| rest.strip_suffix(ANCHOR_END));
                write!(f, "~{}", inner.unwrap_or(anchored))
            }
        }
    }
}

impl Decode for HostPattern {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<HostPattern> {
        text(value, place, problems, "a host such as \"shop.example.com\"", HostPattern::parse)
    }
}

impl Decode for PathPattern {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<PathPattern> {
        text(value, place, problems, "a path such as \"/orders\"", PathPattern::parse)
    }
}

pub(super) fn method(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Method> {
    text(value, place, problems, "a method such as \"GET\"", |text| {
        if text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(Complaint::new("methods are written in upper case", "as in \"GET\""));
        }
        Method::from_bytes(text.as_bytes()).map_err(|_| Complaint::new("not a method", "as in \"GET\""))
    })
}

pub(super) fn methods(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<Method>> {
    struct Written(Method);
    impl Decode for Written {
        fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Written> {
            method(value, place, problems).map(Written)
        }
    }
    let methods = at_least_one::<Written>(value, place, problems)?;
    Some(methods.into_iter().map(|written| written.0).collect())
}

/// `{ x-version = ["1", "2"], x-debug = [] }`
pub(super) fn headers(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<HeaderMatch>> {
    let before = problems.len();
    let table = filled_table(value, place, problems)?;
    let mut matches: Vec<HeaderMatch> = Vec::with_capacity(table.len());
    for (key, values) in &table {
        let place = place.key(key);
        let values = match_values(values, &place, problems);
        let Ok(name) = HeaderName::from_bytes(key.as_bytes()) else {
            problems.add(Problem::new(&place, "not the name of a header").at_key());
            continue;
        };
        if name == http::header::HOST {
            problems.add(Problem::new(&place, "hosts are matched with `hosts`").at_key());
        }
        if matches.iter().any(|other| other.name == name) {
            problems.add(Problem::new(&place, format!("the header `{name}` is there twice")).at_key());
        }
        matches.push(HeaderMatch { name, values: values.unwrap_or_default() });
    }
    (problems.len() == before).then_some(matches)
}

/// As [`headers`], for query parameters.
pub(super) fn query(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<QueryMatch>> {
    let before = problems.len();
    let table = filled_table(value, place, problems)?;
    let mut matches = Vec::with_capacity(table.len());
    for (name, values) in &table {
        let place = place.key(name);
        if name.is_empty() {
            problems.add(Problem::new(&place, "the name of the parameter is empty").at_key());
        }
        let values = match_values(values, &place, problems).unwrap_or_default();
        matches.push(QueryMatch { name: name.clone(), values });
    }
    (problems.len() == before).then_some(matches)
}

fn filled_table(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Map<String, Value>> {
    let table = Map::decode(value, place, problems)?;
    if table.is_empty() {
        problems.add(Problem::new(place, "the table is empty"));
        return None;
    }
    Some(table)
}

/// Unlike most strings, one to compare with may be empty.
fn match_values(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    struct Compared(String);
    impl Decode for Compared {
        fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Compared> {
            text(value, place, problems, "a string", |text| Ok(Compared(text.to_owned())))
        }
    }
    let values = Vec::<Compared>::decode(value, place, problems)?;
    Some(values.into_iter().map(|compared| compared.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        assert_eq!(HostPattern::parse("Shop.Example.com"), Ok(HostPattern::Exact("shop.example.com".into())));
        assert_eq!(HostPattern::parse("*.example.com"), Ok(HostPattern::Wildcard(".example.com".into())));
        assert_eq!(HostPattern::parse("[::1]"), Ok(HostPattern::Exact("[::1]".into())));
        for text in ["", "*", "*.", "a.*.com", "*a.com", "*.*.com", "a.com:80", "http://a.com", "a.com/x", "a b", "a."]
        {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths() {
        let written = |text: &str| PathPattern::parse(text).map(|pattern| pattern.to_string());
        for text in ["/", "/orders", "=/orders/", "/users/{id}", "/files/{*rest}", "~/v[0-9]+/.*"] {
            assert_eq!(written(text).as_deref(), Ok(text));
        }
        assert_eq!(PathPattern::parse("/orders/").ok(), Some(PathPattern::Prefix("/orders".into())));
        for text in [
            "",
            "orders",
            "~",
            "~(",
            "~a)|(b",
            "=orders",
            "/a?b",
            "/a#b",
            "/a b",
            "/ä",
            "//",
            "/a/../b",
            "/a/./b",
            "/a/*",
            "/a/*/",
            "/{",
            "/{}",
            "/{a}{b}",
            "/{a{b}",
            "/{*rest{b}",
            "/{*rest}/a",
            "/a{*rest}",
            "/{{{*rest}",
            "/{*rest}.json",
            "/{/a}",
            "/{a b}",
            "/{{{a}}}",
            "/{*}",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_regular_expression_has_to_match_the_whole_path() {
        let Ok(PathPattern::Regex(regex)) = PathPattern::parse("~/a|/b") else { panic!("a regular expression") };
        assert!(regex.is_match("/a") && regex.is_match("/b"));
        assert!(!regex.is_match("/ab") && !regex.is_match("/x/b") && !regex.is_match("/a\n"));
    }

    #[test]
    fn a_broken_regular_expression_is_explained_without_being_shown() {
        let complaint = PathPattern::parse("~/s3cret(").expect_err("unclosed");
        assert_eq!(complaint.message, "not a regular expression: unclosed group");
    }
}
