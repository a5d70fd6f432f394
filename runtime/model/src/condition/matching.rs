//! Whether one thing that a route or a condition states is true of a request. Nothing here allocates,
//! except for paths with doubled braces.

use std::borrow::Cow;
use std::iter;

use http::HeaderMap;

use crate::entity::{HeaderMatch, HostPattern, PathPattern, QueryMatch};

impl HostPattern {
    /// `host` is lower case and has no port.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(exact) => host == exact,
            HostPattern::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
        }
    }
}

impl PathPattern {
    /// `path` is normalised.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Exact(exact) => path == exact,
            PathPattern::Prefix(prefix) => prefix_matches(prefix.trim_end_matches('/'), path),
            PathPattern::Parameters(pattern) => parameters_match(pattern, path),
            PathPattern::Regex(regex) => regex.is_match(path),
        }
    }
}

impl HeaderMatch {
    /// Any value of the field may be the right one.
    pub fn matches(&self, headers: &HeaderMap) -> bool {
        let right = |value: &[u8]| self.values.is_empty() || self.values.iter().any(|own| own.as_bytes() == value);
        headers.get_all(&self.name).iter().any(|value| right(value.as_bytes()))
    }
}

impl QueryMatch {
    /// Any parameter of that name may have the right value. `query` comes without its question mark;
    /// `+` is a space, a broken percent sequence stands for itself, no `=` means an empty value.
    pub fn matches(&self, query: &str) -> bool {
        let right = |value: &str| self.values.is_empty() || self.values.iter().any(|own| decodes_to(value, own));
        query
            .split('&')
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .any(|(name, value)| decodes_to(name, &self.name) && right(value))
    }
}

/// One segment of a pattern with parameters; in its texts doubled braces are single ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Segment<'p> {
    Literal(Cow<'p, str>),
    /// `{id}`, `v{id}`, `{id}.json`: at least one byte between the texts.
    Parameter {
        before: Cow<'p, str>,
        after: Cow<'p, str>,
    },
    /// `{*rest}`: the rest of the path, at least one byte.
    Rest,
}

impl<'p> Segment<'p> {
    /// The segments of a whole pattern.
    pub(crate) fn all(pattern: &'p str) -> impl Iterator<Item = Segment<'p>> {
        pattern.split('/').skip(1).map(Segment::parse)
    }

    /// Braces that make no parameter are plain text (the decoder refuses such patterns).
    pub(crate) fn parse(text: &'p str) -> Segment<'p> {
        match parts(text) {
            None => Segment::Literal(single_braces(text)),
            Some(("", name, "")) if name.starts_with('*') => Segment::Rest,
            Some((before, _, after)) => {
                Segment::Parameter { before: single_braces(before), after: single_braces(after) }
            }
        }
    }

    /// Every brace in it that is not doubled is one of a single parameter with a proper name, and `{*rest}` stands
    /// alone.
    pub(crate) fn is_sound(text: &str) -> bool {
        let is_plain = |text| split_at_single(text, b'{').is_none() && split_at_single(text, b'}').is_none();
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        match parts(text) {
            None => is_plain(text),
            Some((before, name, after)) => match name.strip_prefix('*') {
                Some(name) => is_name(name) && before.is_empty() && after.is_empty(),
                None => is_name(name) && is_plain(before) && is_plain(after),
            },
        }
    }
}

/// The text before a parameter, its name, the text behind it.
fn parts(segment: &str) -> Option<(&str, &str, &str)> {
    let (before, inside) = split_at_single(segment, b'{')?;
    let (name, after) = split_at_single(inside, b'}')?;
    Some((before, name, after))
}

/// What stands before and behind the first brace of this kind that is not doubled.
fn split_at_single(text: &str, brace: u8) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let byte = *bytes.get(at)?;
        let doubled = matches!(byte, b'{' | b'}') && bytes.get(at + 1) == Some(&byte);
        if byte == brace && !doubled {
            return Some((&text[..at], &text[at + 1..]));
        }
        at += if doubled { 2 } else { 1 };
    }
}

fn single_braces(text: &str) -> Cow<'_, str> {
    if text.contains(['{', '}']) { text.replace("{{", "{").replace("}}", "}").into() } else { text.into() }
}

pub(crate) fn parameter_matches(before: &str, after: &str, segment: &str) -> bool {
    segment.len() > before.len() + after.len() && segment.starts_with(before) && segment.ends_with(after)
}

/// Cuts the first segment off a path without its leading slash; `None` behind the last one.
pub(crate) fn split_segment(path: &str) -> (&str, Option<&str>) {
    // Segments are short: a plain loop is twice as fast as `split_once`.
    match path.bytes().position(|byte| byte == b'/') {
        Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
        None => (path, None),
    }
}

/// A prefix ends at a segment border; the root, an empty text, is a prefix of everything.
fn prefix_matches(prefix: &str, path: &str) -> bool {
    prefix.is_empty() || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn parameters_match(pattern: &str, path: &str) -> bool {
    let mut path = path.strip_prefix('/');
    for segment in Segment::all(pattern) {
        let Some(rest) = path else {
            return false;
        };
        let (own, behind) = split_segment(rest);
        let matches = match segment {
            Segment::Literal(text) => text == own,
            Segment::Parameter { before, after } => parameter_matches(&before, &after, own),
            Segment::Rest => return !rest.is_empty(),
        };
        if !matches {
            return false;
        }
        path = behind;
    }
    path.is_none()
}

fn decodes_to(encoded: &str, plain: &str) -> bool {
    decoded(encoded).eq(plain.bytes())
}

fn decoded(encoded: &str) -> impl Iterator<Item = u8> {
    let mut bytes = encoded.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    iter::from_fn(move || match bytes.next()? {
        b'+' => Some(b' '),
        b'%' => {
            let mut ahead = bytes.clone();
            let (Some(high), Some(low)) = (digit(ahead.next()), digit(ahead.next())) else {
                return Some(b'%');
            };
            bytes = ahead;
            Some((high * 16 + low) as u8)
        }
        plain => Some(plain),
    })
}
