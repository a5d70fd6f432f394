//! Keeps secrets of the query out of what is written down.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Query parameters whose values nobody is to read later, by their decoded names.
#[derive(Default)]
pub(crate) struct Masked(Vec<Box<str>>);

impl Masked {
    /// From now on the parameter is masked, if the query has it.
    pub(crate) fn add(&mut self, name: &str, query: Option<&str>) {
        let has = |query: &str| query.split('&').any(|pair| is_named(pair, |key| key == name));
        if query.is_some_and(has) && !self.holds(name) {
            self.0.push(name.into());
        }
    }

    /// Path and query as they may be written down; `also` is masked too.
    pub(crate) fn apply<'t>(&self, target: &'t str, also: &[Box<str>]) -> Cow<'t, str> {
        let Some((path, query)) = target.split_once('?').filter(|_| !self.0.is_empty() || !also.is_empty()) else {
            return Cow::Borrowed(target);
        };
        let is_secret = |key: &str| self.holds(key) || also.iter().any(|masked| **masked == *key);
        let shown = query.split('&').map(|pair| match is_named(pair, is_secret) {
            true => Cow::Owned(format!("{}={MASK}", pair.split('=').next().unwrap_or_default())),
            false => Cow::Borrowed(pair),
        });
        Cow::Owned(format!("{path}?{}", shown.collect::<Vec<_>>().join("&")))
    }

    fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|masked| **masked == *name)
    }
}

/// Path and query of a request that no plugin has seen, without these parameters' values.
pub fn masked_target<'t>(target: &'t str, parameters: &[Box<str>]) -> Cow<'t, str> {
    Masked::default().apply(target, parameters)
}

/// The query parameters that settings name where the schema says that such parameters hold secrets: a
/// text, or a list of them, marked `"x-secret-parameters": true`.
pub(crate) fn secret_parameters(schema: &Value, settings: &Map<String, Value>) -> Vec<Box<str>> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let marked = properties.into_iter().flatten().filter(|(_, about)| about.get(MARK) == Some(&Value::Bool(true)));
    let stated = marked.filter_map(|(name, about)| settings.get(name).or_else(|| about.get("default")));
    let texts = stated.flat_map(|value| match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    });
    texts.filter_map(Value::as_str).map(Box::from).collect()
}

fn is_named(pair: &str, wanted: impl Fn(&str) -> bool) -> bool {
    form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _)| wanted(&key))
}

const MASK: &str = "***";
const MARK: &str = "x-secret-parameters";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_parameters_lose_their_values_whatever_way_they_are_written() {
        let mut masked = Masked::default();
        let target = "/a?b=1&ap%69key=secret&apikey=secret&apikey&b=%20";
        assert_eq!(masked.apply(target, &[]), target);
        masked.add("apikey", target.split_once('?').map(|(_, query)| query));
        assert_eq!(masked.apply(target, &[]), "/a?b=1&ap%69key=***&apikey=***&apikey=***&b=%20");
        assert_eq!(masked.apply("/a", &[]), "/a");
        let also = [Box::from("b")];
        assert_eq!(masked.apply(target, &also), "/a?b=***&ap%69key=***&apikey=***&apikey=***&b=***");
        assert_eq!(masked_target("/a?c=1&%62=2", &also), "/a?c=1&%62=***");
    }

    #[test]
    fn what_the_query_does_not_have_is_not_kept() {
        let mut masked = Masked::default();
        masked.add("apikey", None);
        masked.add("apikey", Some("b=1"));
        assert!(masked.0.is_empty());
    }

    #[test]
    fn settings_tell_which_parameters_hold_secrets() {
        let schema = serde_json::json!({ "properties": {
            "query": { "x-secret-parameters": true, "default": ["key"] },
            "token": { "x-secret-parameters": true },
            "headers": { "default": ["apikey"] },
        } });
        let told = |settings: Value| secret_parameters(&schema, settings.as_object().unwrap());
        assert_eq!(told(serde_json::json!({})), ["key".into()]);
        assert_eq!(
            told(serde_json::json!({ "query": ["a", "b"], "token": "t" })),
            ["a".into(), "b".into(), "t".into()]
        );
        assert!(secret_parameters(&Value::Null, &Map::new()).is_empty());
    }
}
