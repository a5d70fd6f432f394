use serde::{Deserialize, Serialize};

/// A request, as the origin received it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub version: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    pub body_length: u64,
    /// In hexadecimal digits.
    pub body_sha256: String,
    pub trailers: Vec<(String, String)>,
    /// The body broke off.
    pub broken: bool,
}

impl Seen {
    /// First value of the field; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.values(name).next().unwrap_or_default()
    }

    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

pub(super) fn listed(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
