//! Where in a tree a value stands.

use std::fmt;

/// A path into a tree, built on the stack while decoding and only written out for a problem.
///
/// Written `routes[2].paths[0]`; a key that is not bare (letters, digits, `_`, `-`) is quoted as in
/// JSON: `plugins[0].config."a.b"`.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub fn key(&'a self, key: &'a str) -> Place<'a> {
        Place::Key(self, key)
    }

    pub fn index(&'a self, index: usize) -> Place<'a> {
        Place::Index(self, index)
    }

    /// How `value` is written here: `priority = 10`, or the value alone in a list.
    pub(super) fn assigned(&self, value: &str) -> String {
        match self {
            Place::Key(_, key) => format!("{} = {value}", Place::Root.key(key)),
            Place::Root | Place::Index(..) => value.to_owned(),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root => Ok(()),
            Place::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Place::Key(parent, key) => {
                write!(f, "{parent}")?;
                if !matches!(parent, Place::Root) {
                    f.write_str(".")?;
                }
                if !key.is_empty() && key.bytes().all(is_bare) {
                    f.write_str(key)
                } else {
                    write!(f, "{}", serde_json::Value::from(*key))
                }
            }
        }
    }
}

/// One step of a written path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedStep {
    Key(String),
    Index(usize),
}

/// Reads what [`Place`] wrote. `None` if the text is not such a path.
pub fn steps(path: &str) -> Option<Vec<OwnedStep>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(OwnedStep::Index(index.parse().ok()?));
            rest = after;
            continue;
        }
        if !steps.is_empty() {
            rest = rest.strip_prefix('.')?;
        }
        let (key, after) = if rest.starts_with('"') { quoted_key(rest)? } else { bare_key(rest)? };
        steps.push(OwnedStep::Key(key));
        rest = after;
    }
    Some(steps)
}

fn bare_key(text: &str) -> Option<(String, &str)> {
    let end = text.bytes().position(|b| !is_bare(b)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

fn quoted_key(text: &str) -> Option<(String, &str)> {
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let key = strings.next()?.ok()?;
    Some((key, &text[strings.byte_offset()..]))
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_place_is_read_back() {
        let root = Place::Root;
        let plugins = root.key("plugins");
        let third = plugins.index(3);
        let config = third.key("config");
        let odd = config.key("a.\"b\" [0]");
        let last = odd.index(0);
        let text = last.to_string();
        assert_eq!(text, r#"plugins[3].config."a.\"b\" [0]"[0]"#);
        let key = |key: &str| OwnedStep::Key(key.to_owned());
        assert_eq!(
            steps(&text),
            Some(vec![key("plugins"), OwnedStep::Index(3), key("config"), key("a.\"b\" [0]"), OwnedStep::Index(0)])
        );
        assert_eq!(steps(""), Some(vec![]));
        assert_eq!(steps("a..b"), None);
    }
}
