//! Secrets that stand in the file itself, taken out of the text that reports show.

use std::ops::Range;

use serde_json::Value;
use tollgate_model::decode::{closest, is_secret_key};

use super::spans::{Children, Spans};

/// The text with stars in place of values under secret keys, of strings under keys of consumers that
/// are none, and of the user part of URLs. As long as before, byte for byte, with the same lines, so
/// that spans still fit.
pub(super) fn by_key(text: &str, tree: &Value, spans: &Spans) -> String {
    let mut secrets = user_parts(text);
    if let (Value::Object(lists), Children::Table(children)) = (tree, &spans.children) {
        for (list, value) in lists {
            let secrecy = if is_secret_key(list) { Secrecy::All } else { Secrecy::None };
            let Some(spans) = children.get(list) else { continue };
            collect(value, spans, secrecy, is_of_consumers(list), &mut secrets);
        }
    }
    mask(text, secrets)
}

/// How much below a key is secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    None,
    Strings,
    /// Numbers too.
    All,
}

fn collect(value: &Value, spans: &Spans, secrecy: Secrecy, consumer: bool, secrets: &mut Vec<Range<usize>>) {
    match (value, &spans.children) {
        (Value::Object(table), Children::Table(children)) => {
            for (key, value) in table {
                let Some(spans) = children.get(key) else { continue };
                let inherited = secrecy != Secrecy::None && !matches!(key.as_str(), "id" | "name");
                let secrecy = match is_secret_key(key) {
                    true => Secrecy::All,
                    false if inherited || (consumer && !is_public_of_consumer(key)) => Secrecy::Strings,
                    false => Secrecy::None,
                };
                collect(value, spans, secrecy, consumer, secrets);
            }
        }
        (Value::Array(items), Children::List(children)) => {
            for (item, spans) in items.iter().zip(children) {
                collect(item, spans, secrecy, consumer, secrets);
            }
        }
        (Value::String(_), _) if secrecy != Secrecy::None => secrets.push(spans.value.clone()),
        (Value::Number(_), _) if secrecy == Secrecy::All => secrets.push(spans.value.clone()),
        _ => {}
    }
}

/// `consumers`, and what was meant to be.
fn is_of_consumers(list: &str) -> bool {
    closest(list, ["consumers"]).is_some()
}

/// Keys whose values may be shown. What stands under any other key of a consumer is likely a
/// credential under a mistyped name.
fn is_public_of_consumer(key: &str) -> bool {
    matches!(key, "name" | "id" | "custom_id" | "groups" | "chain" | "plugin" | "when" | "tags")
}

/// For a text that does not parse: the same by a rough look at each line. Everything after
/// `secret =` goes, and the lines below too until one has a key or a header of its own.
pub(super) fn by_line(text: &str) -> String {
    let mut secrets = user_parts(text);
    let mut within_secret = false;
    let mut within_consumers = false;
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        let is_header = line.trim_start().starts_with('[');
        let first = line.trim_start_matches(|c: char| c.is_whitespace() || c == '[');
        if is_header || line.contains('=') {
            let ends_key = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
            let list = first.split(ends_key).next().unwrap_or_default();
            within_consumers = is_of_consumers(list) || (within_consumers && !is_header);
        }
        let is_secret = |at: usize| {
            let key = key_before(&line[..at]);
            is_secret_key(key) || (within_consumers && !is_public_of_consumer(key) && !is_of_consumers(key))
        };
        let secret = line.match_indices('=').map(|(at, _)| at).find(|at| is_secret(*at));
        let line_end = line_start + line.len();
        if let Some(at) = secret {
            secrets.push(line_start + at + 1..line_end);
            within_secret = true;
        } else if line.contains('=') || line.starts_with('[') {
            within_secret = false;
        } else if within_secret {
            secrets.push(line_start..line_end);
        }
        line_start = line_end;
    }
    mask(text, secrets)
}

fn key_before(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'']);
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    &text[text.trim_end_matches(bare).len()..]
}

/// `user:password` of each `scheme://user:password@host`.
fn user_parts(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices("://").map(|(at, found)| at + found.len());
    let user_part = |start: usize| {
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || c == '"' || c == '\'').unwrap_or(rest.len());
        rest[..end].rfind('@').map(|at| start..start + at)
    };
    starts.filter_map(user_part).collect()
}

fn mask(text: &str, secrets: Vec<Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for secret in secrets {
        for byte in bytes.get_mut(secret).into_iter().flatten() {
            if !matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b' ') {
                *byte = b'*';
            }
        }
    }
    // A masked character is masked with all of its bytes, so what is left is UTF-8.
    String::from_utf8(bytes).unwrap_or_default()
}
