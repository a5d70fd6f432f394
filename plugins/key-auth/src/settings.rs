use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_plugin_sdk::prelude::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Header fields that may hold the key.
    pub headers: Vec<String>,
    /// Query parameters that may hold the key. None by default: addresses end up in logs,
    /// histories and referrers.
    #[schemars(extend("x-secret-parameters" = true))]
    pub query: Vec<String>,
    /// Removes the key before the request goes to the upstream.
    pub hide_credentials: bool,
    /// Name of the consumer that stands for requests without a key. Without one they get 401.
    pub anonymous: Option<String>,
    /// Named in the `WWW-Authenticate` field of a 401.
    pub realm: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            headers: vec!["apikey".to_owned()],
            query: Vec::new(),
            hide_credentials: true,
            anonymous: None,
            realm: "tollgate".to_owned(),
        }
    }
}

impl Settings {
    /// The header names, resolved, once everything else is known to be right.
    pub fn header_names(&self) -> Result<Vec<HeaderName>, Problems> {
        let mut problems = Problems::new();
        let mut names = Vec::with_capacity(self.headers.len());
        for (index, header) in self.headers.iter().enumerate() {
            let name = problems.check(format!("headers[{index}]"), HeaderName::new(header));
            if name.is_some_and(|name| names.contains(&name)) {
                problems.add(format!("headers[{index}]"), format!("`{header}` is listed twice"));
            }
            names.extend(name);
        }
        for (index, parameter) in self.query.iter().enumerate() {
            if parameter.is_empty() || self.query[..index].contains(parameter) {
                problems.add(format!("query[{index}]"), "empty or listed twice");
            }
        }
        if self.headers.is_empty() && self.query.is_empty() {
            problems.add("headers", "name at least one header or query parameter that may hold the key");
        }
        if self.anonymous.as_ref().is_some_and(String::is_empty) {
            problems.add("anonymous", "empty; leave it out to refuse requests without a key");
        }
        if !self.realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            problems.add("realm", "printable ASCII without quotes and backslashes");
        }
        problems.into_result()?;
        Ok(names)
    }
}
