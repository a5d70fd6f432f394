//! What is secret, told by its name and its looks.

use crate::decode::is_secret_key;

/// Whether what goes by this name is a secret as a rule: `api_key`, `clientSecret`, `Authorization`.
pub fn is_secret_name(name: &str) -> bool {
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
pub(super) fn holds_secret(text: &str) -> bool {
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
