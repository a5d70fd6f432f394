//! Secrets that stand in the file itself, taken out of the text that reports show.

use std::ops::Range;

use serde_json::Value;
use tollgate_model::decode::is_secret_key;

use super::spans::{Children, Spans};

/// The text with stars in place of strings under secret keys and of the user part of URLs. As long
/// as before, byte for byte, with the same lines, so that spans still fit.
pub(super) fn by_key(text: &str, tree: &Value, spans: &Spans) -> String {
    let mut secrets = user_parts(text);
    collect(tree, spans, false, &mut secrets);
    mask(text, secrets)
}

fn collect(value: &Value, spans: &Spans, secret: bool, secrets: &mut Vec<Range<usize>>) {
    match (value, &spans.children) {
        (Value::Object(table), Children::Table(children)) => {
            for (key, value) in table {
                let Some(spans) = children.get(key) else { continue };
                let public = matches!(key.as_str(), "id" | "name");
                collect(value, spans, is_secret_key(key) || (secret && !public), secrets);
            }
        }
        (Value::Array(items), Children::List(children)) => {
            for (item, spans) in items.iter().zip(children) {
                collect(item, spans, secret, secrets);
            }
        }
        (Value::String(_), _) if secret => secrets.push(spans.value.clone()),
        _ => {}
    }
}

/// For a text that does not parse: the same by a rough look at each line. Everything after
/// `secret =` goes, and the lines below too until one has a key or a header of its own.
pub(super) fn by_line(text: &str) -> String {
    let mut secrets = user_parts(text);
    let mut within_secret = false;
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        let mut assignments = line.match_indices('=').map(|(at, _)| (at, is_secret_key(key_before(&line[..at]))));
        let line_end = line_start + line.len();
        if let Some((at, _)) = assignments.find(|(_, secret)| *secret) {
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
