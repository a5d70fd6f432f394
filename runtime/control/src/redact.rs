//! What must not be shown, told by its name and its looks.
//!
//! A plugin's settings are free-form, so nothing says for sure which of them are secret. Rather too
//! much is hidden than too little.

use serde_json::{Map, Value};
use tollgate_model::decode::is_secret_key;

/// Stands where a secret stood.
pub(crate) const HIDDEN: &str = "[hidden]";

/// A copy of settings without what may be secret. Flags are kept: they hold nothing.
pub(crate) fn settings(settings: &Map<String, Value>) -> Map<String, Value> {
    // `{ name = "authorization", value = "…" }`: the name of the value stands beside it.
    let named_secret = settings.get("name").and_then(Value::as_str).is_some_and(is_secret_name);
    let visible = |(name, value): (&String, &Value)| {
        let secret = is_secret_name(name) || (named_secret && name.starts_with("value"));
        let shown = match value {
            Value::Bool(_) | Value::Null => value.clone(),
            _ if secret => HIDDEN.into(),
            _ => visible(value),
        };
        (name.clone(), shown)
    };
    settings.iter().map(visible).collect()
}

/// As [`settings`], of anything.
pub(crate) fn body(value: &Value) -> Value {
    visible(value)
}

fn visible(value: &Value) -> Value {
    match value {
        Value::Object(table) => Value::Object(settings(table)),
        Value::Array(items) => items.iter().map(visible).collect(),
        Value::String(text) if holds_secret(text) => HIDDEN.into(),
        other => other.clone(),
    }
}

/// Whether what goes by this name is a secret as a rule: `api_key`, `clientSecret`, `Authorization`.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    // `key_names` are names, not keys.
    if words.last().is_some_and(|last| last == "name") {
        return false;
    }
    let joined = words.concat();
    is_secret_key(&joined)
        || words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
        || SECRET_PARTS.iter().any(|part| joined.contains(part))
}

/// Secret besides what [`is_secret_key`] knows.
const SECRET_WORDS: [&str; 11] =
    ["cert", "dsn", "jwk", "jwt", "pem", "pepper", "pin", "salt", "seed", "session", "signature"];

const SECRET_PARTS: [&str; 2] = ["bearer", "cookie"];

/// Words of a name in lower case and singular, whether it is written `like_this`, `like-this` or
/// `likeThis`.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_small = false;
    for c in name.chars() {
        let ends_word = !c.is_alphanumeric() || (after_small && c.is_uppercase());
        if ends_word && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_small = c.is_lowercase() || c.is_numeric();
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") {
            word.pop();
        }
    }
    words
}

/// Whether a text looks like a secret or has one in it: a PEM block, a header value with credentials,
/// a URL with a user or a secret parameter, `name: value` with the name of a secret.
fn holds_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("-----begin")
        || ["bearer ", "basic ", "digest "].iter().any(|scheme| lower.trim_start().starts_with(scheme))
        || has_user(text)
        || has_secret_pair(text)
}

/// `scheme://user:password@host`, anywhere in the text.
fn has_user(text: &str) -> bool {
    text.match_indices("://").any(|(at, mark)| {
        let authority = text[at + mark.len()..].split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority.contains('@')
    })
}

fn has_secret_pair(text: &str) -> bool {
    text.match_indices([':', '=']).any(|(at, _)| {
        let is_part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = text[..at].trim_end();
        let name = &name[name.trim_end_matches(is_part_of_name).len()..];
        is_secret_name(name) && !text[at + 1..].trim().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for secret in [
            json!({ "api_key": "s3cret" }),
            json!({ "apiKeys": ["s3cret"] }),
            json!({ "clientSecret": { "value": "s3cret" } }),
            json!({ "deep": [{ "er": { "redis-password": "s3cret" } }] }),
            json!({ "signing_keys": { "first": "s3cret" } }),
            json!({ "headers": { "Authorization": "s3cret", "Set-Cookie": "s3cret" } }),
            json!({ "add": [{ "name": "X-Api-Key", "value": "s3cret" }] }),
            json!({ "add": ["x-api-key: s3cret"] }),
            json!({ "add": ["Bearer s3cret", " basic s3cret"] }),
            json!({ "url": "https://user:s3cret@example.com/" }),
            json!({ "url": "redis://s3cret@example.com" }),
            json!({ "url": "https://example.com/hook?x=1&access_token=s3cret" }),
            json!({ "database": "host=db password=s3cret" }),
            json!({ "text": "-----BEGIN PRIVATE KEY-----\ns3cret" }),
            json!({ "accesskeyid": "s3cret", "PASSPHRASE": "s3cret", "dsn": "s3cret", "jwt": "s3cret" }),
            json!({ "dbpwd": "s3cret", "userpass": "s3cret", "XAuth": "s3cret", "myprivatething": "s3cret" }),
            json!({ "pin": "s3cret", "tokens": "s3cret", "credentials": "s3cret" }),
        ] {
            let shown = Value::Object(settings(secret.as_object().expect("a table"))).to_string();
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains(HIDDEN), "{shown}");
        }
    }

    #[test]
    fn ordinary_settings_stay_readable() {
        for ordinary in [
            json!({ "limits": [{ "limit": 10, "window": "1m", "by": "consumer" }], "status": 429 }),
            json!({ "path": "access.log", "rotate": true, "level": null }),
            json!({ "headers": ["apikey"], "key_names": ["apikey"], "hide_credentials": true }),
            json!({ "url": "https://example.com:8443/a@b?size=10", "needle": "north" }),
            json!({ "message": "at 10:30, try again", "tries": 3 }),
        ] {
            let table = ordinary.as_object().expect("a table");
            assert_eq!(&settings(table), table);
        }
    }
}
