//! What is wrong with a plugin's settings, in the words of the configuration.

mod expected;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use tollgate_model::Name;
use tollgate_model::decode::{Place, closest};
use tollgate_model::problem::Part;

use crate::module::ModuleGeneration;
use expected::Expected;

/// Something wrong with a plugin's module, settings, grants or policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    pub plugin: Name,
    /// Below the plugin's table: `config.limits[0].window`, `grants`, `on_error`.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
    /// Which half of `key = value` a report should point at.
    pub part: Part,
}

impl SettingsProblem {
    pub(crate) fn new(plugin: &Name, path: impl Into<String>, message: impl Into<String>) -> SettingsProblem {
        let (plugin, path, message) = (plugin.clone(), path.into(), message.into());
        SettingsProblem { plugin, path, message, hint: None, part: Part::Value }
    }
}

/// Where settings are not as the module's schema wants them.
pub(crate) fn schema_problems(module: &ModuleGeneration, plugin: &Name, settings: &Value) -> Vec<SettingsProblem> {
    problems_by(module.schema(), &module.manifest().settings_schema, plugin, settings)
}

/// As [`schema_problems`], by a schema and what was made of it.
pub(crate) fn problems_by(
    validator: &jsonschema::Validator,
    schema: &Value,
    plugin: &Name,
    settings: &Value,
) -> Vec<SettingsProblem> {
    let errors = validator.iter_errors(settings);
    let mut problems: Vec<_> = errors.flat_map(|error| explained(&error, schema, settings, plugin)).collect();
    // Of what is neither of the right type nor one of the right values both are said.
    problems.dedup();
    problems
}

/// One error of a schema. Values are not quoted: they may be secrets.
fn explained(error: &ValidationError<'_>, schema: &Value, settings: &Value, plugin: &Name) -> Vec<SettingsProblem> {
    let path = below_config(error.instance_path().as_str(), settings);
    let asking = asking_schema(schema, error.schema_path().as_str());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|key| unknown_key(key, &path, asking, plugin)).collect()
        }
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            let problem = SettingsProblem::new(plugin, path, format!("a required key is missing: {property}"));
            vec![SettingsProblem { part: Part::Key, ..problem }]
        }
        ValidationErrorKind::Pattern { pattern } => {
            let message = match asking.and_then(|asking| asking.get("title")).and_then(Value::as_str) {
                Some(title) => format!("expected {title}"),
                None => format!("expected a text of the form {pattern}"),
            };
            vec![SettingsProblem::new(plugin, path, message)]
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            let keyword = error.schema_path().as_str().rsplit('/').next().unwrap_or_default();
            let meant = |asking| Expected::new(schema, asking).meant(keyword, context.len(), error.instance());
            match asking.and_then(meant).and_then(|index| context.get(index)) {
                Some(errors) => errors.iter().flat_map(|error| explained(error, schema, settings, plugin)).collect(),
                None => vec![another(error, schema, asking, path, plugin)],
            }
        }
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. } | ValidationErrorKind::Type { .. } => {
            vec![another(error, schema, asking, path, plugin)]
        }
        _ => vec![SettingsProblem::new(plugin, path, error.masked_with("this value").to_string())],
    }
}

/// Another value or another kind of value than the schema takes.
fn another(
    error: &ValidationError<'_>,
    schema: &Value,
    asking: Option<&Value>,
    path: String,
    plugin: &Name,
) -> SettingsProblem {
    let Some(asking) = asking else {
        return SettingsProblem::new(plugin, path, error.masked_with("this value").to_string());
    };
    let expected = Expected::new(schema, asking);
    let problem = SettingsProblem::new(plugin, path, expected.instead_of(error.instance()));
    SettingsProblem { hint: expected.hint(error.instance()), ..problem }
}

fn unknown_key(key: &str, table: &str, asking: Option<&Value>, plugin: &Name) -> SettingsProblem {
    let known = asking.and_then(|asking| asking.get("properties")).and_then(Value::as_object);
    let known: Vec<&str> = known.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
    let hint = match closest(key, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("known here: {}", known.join(", "))),
    };
    let path = format!("{table}.{}", Place::Root.key(key));
    let problem = SettingsProblem::new(plugin, path, format!("unknown key `{key}`"));
    SettingsProblem { hint, part: Part::Key, ..problem }
}

/// The part of a schema that has the keyword at `path`, a JSON pointer that may lead through `$ref`.
fn asking_schema<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    let (parent, _) = path.rsplit_once('/')?;
    parent.split('/').skip(1).try_fold(schema, |at, step| match (step, at) {
        ("$ref", _) => schema.pointer(at.get("$ref")?.as_str()?.strip_prefix('#')?),
        (step, Value::Array(items)) => items.get(step.parse::<usize>().ok()?),
        (step, at) => at.get(step.replace("~1", "/").replace("~0", "~")),
    })
}

/// `/limits/0/window` (a JSON pointer into the settings) as `config.limits[0].window`.
fn below_config(pointer: &str, settings: &Value) -> String {
    let mut path = "config".to_owned();
    let mut at = Some(settings);
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        // A key of a table may consist of digits, too.
        match (at.and_then(Value::as_array), part.parse::<usize>()) {
            (Some(list), Ok(index)) => {
                path.push_str(&format!("[{index}]"));
                at = list.get(index);
            }
            _ => {
                path.push_str(&format!(".{}", Place::Root.key(&part)));
                at = at.and_then(|table| table.get(part.as_str()));
            }
        }
    }
    path
}

/// A path that a module told, below its settings.
pub(crate) fn dotted_below_config(path: &str) -> String {
    match path {
        "" => "config".to_owned(),
        path if path.starts_with('[') => format!("config{path}"),
        path => format!("config.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_become_paths_of_the_configuration() {
        let settings = json!({ "limits": [{ "window": "1m" }], "extra": { "1": [0], "a/b": { "2": 0 } } });
        assert_eq!(below_config("/limits/0/window", &settings), "config.limits[0].window");
        assert_eq!(below_config("/extra/1/0", &settings), "config.extra.1[0]");
        assert_eq!(below_config("/extra/a~1b/2", &settings), "config.extra.\"a/b\".2");
        assert_eq!(below_config("", &settings), "config");
        assert_eq!(dotted_below_config("limits[0].by"), "config.limits[0].by");
    }

    #[test]
    fn errors_of_a_schema_read_like_those_of_the_configuration() {
        let window = json!({ "type": "string", "pattern": "^[0-9]+m$", "title": "a duration such as \"1m\"" });
        let by = json!({ "oneOf": [
            { "type": "string", "enum": ["consumer", "ip"] },
            {
                "type": "object",
                "properties": { "header": { "type": "string" } },
                "required": ["header"],
                "additionalProperties": false,
            },
        ] });
        let limit = json!({
            "type": "object",
            "properties": {
                "limit": { "type": "integer" },
                "window": window,
                "code": { "type": "string", "pattern": "^x$" },
                "by": { "$ref": "#/$defs/By" },
            },
            "required": ["limit", "window"],
            "additionalProperties": false,
        });
        let schema = json!({
            "type": "object",
            "$defs": { "Limit": limit, "By": by },
            "properties": { "limits": { "type": "array", "items": { "$ref": "#/$defs/Limit" } } },
        });
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let plugin = Name::parse("limits").expect("a name");
        let found = |limit: Value| {
            let settings = json!({ "limits": [limit] });
            let mut found: Vec<_> = validator
                .iter_errors(&settings)
                .flat_map(|error| explained(&error, &schema, &settings, &plugin))
                .map(|found| (found.path, found.message, found.hint.unwrap_or_default(), found.part))
                .collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            found
        };
        let expected = |path: &str, message: &str, hint: &str, part| {
            (format!("config.limits[0]{path}"), message.to_owned(), hint.to_owned(), part)
        };
        assert_eq!(
            found(json!({ "limit": 1, "windw": "1m" })),
            [
                expected("", "a required key is missing: window", "", Part::Key),
                expected(".windw", "unknown key `windw`", "did you mean `window`?", Part::Key),
            ]
        );
        assert_eq!(
            found(json!({ "limit": "canary", "window": "canary", "code": "canary" })),
            [
                expected(".code", "expected a text of the form ^x$", "", Part::Value),
                expected(
                    ".limit",
                    "expected a whole number, found a string",
                    "write it without quotes, as in 10",
                    Part::Value
                ),
                expected(".window", "expected a duration such as \"1m\"", "", Part::Value),
            ]
        );
        assert_eq!(
            found(json!({ "limit": 1.5, "window": "1m" })),
            [expected(".limit", "expected a whole number, found a number with a fraction", "", Part::Value)]
        );
        assert_eq!(
            found(json!({ "limit": 1, "window": "1m", "by": "costumer" })),
            [expected(
                ".by",
                "expected \"consumer\", \"ip\" or a table with `header`, found another text",
                "did you mean \"consumer\"?",
                Part::Value
            )]
        );
        assert_eq!(
            found(json!({ "limit": 1, "window": "1m", "by": { "header": "x", "hedder": "y" } })),
            [expected(".by.hedder", "unknown key `hedder`", "did you mean `header`?", Part::Key)]
        );
    }
}
