//! What a part of a module's schema takes, in words.

use serde_json::Value;
use tollgate_model::decode::{closest, kind};

/// A part of a schema, with the whole that its references lead into.
#[derive(Clone, Copy)]
pub(super) struct Expected<'s> {
    schema: &'s Value,
    part: &'s Value,
    /// References followed to get here: a schema may contain itself.
    depth: u8,
}

impl<'s> Expected<'s> {
    pub(super) fn new(schema: &'s Value, part: &'s Value) -> Expected<'s> {
        Expected { schema, part, depth: 0 }.resolved()
    }

    /// What is expected, and what was found instead. The value itself is not quoted.
    pub(super) fn instead_of(self, found: &Value) -> String {
        let mut forms = Vec::new();
        self.forms(&mut forms);
        forms.dedup();
        let forms = match &forms[..] {
            [] => "another value".to_owned(),
            [one] => one.clone(),
            [most @ .., last] => format!("{} or {last}", most.join(", ")),
        };
        match found.is_string() && self.takes(found) {
            true => format!("expected {forms}, found another text"),
            false => format!("expected {forms}, found {}", kind(found)),
        }
    }

    /// How to write what was meant.
    pub(super) fn hint(self, found: &Value) -> Option<String> {
        let takes = |example: Value| self.takes(&example);
        let mut words = Vec::new();
        self.words(&mut words);
        match found {
            Value::String(text) if !words.is_empty() => {
                closest(text, words).map(|near| format!("did you mean \"{near}\"?"))
            }
            Value::String(_) if takes("".into()) => None,
            Value::String(_) if takes(10.into()) => Some("write it without quotes, as in 10".to_owned()),
            Value::String(_) if takes(true.into()) => Some("write it without quotes, as in true".to_owned()),
            Value::String(_) if takes(Value::Array(Vec::new())) => Some("write [\"…\"]".to_owned()),
            Value::Number(_) | Value::Bool(_) if words.is_empty() && takes("".into()) => {
                Some("write it in quotes".to_owned())
            }
            _ => None,
        }
    }

    /// Which of the alternatives was meant, by the kind of the value, and of tables by their keys.
    pub(super) fn meant(self, found: &Value) -> Option<usize> {
        let mut words = Vec::new();
        self.words(&mut words);
        if found.is_string() && !words.is_empty() {
            // They are listed together.
            return None;
        }
        let candidates: Vec<_> = self.alternatives()?.enumerate().filter(|(_, branch)| branch.takes(found)).collect();
        match (&candidates[..], found) {
            ([(only, _)], _) => Some(*only),
            (several, Value::Object(table)) => {
                let keys = || table.keys().map(String::as_str);
                let tagged = several.iter().find(|(_, branch)| keys().any(|key| branch.is_tagged(key, &table[key])));
                let named =
                    || several.iter().find(|(_, branch)| keys().any(|key| branch.required().any(|of| of == key)));
                let near =
                    || several.iter().find(|(_, branch)| keys().any(|key| closest(key, branch.required()).is_some()));
                tagged.or_else(named).or_else(near).map(|(index, _)| *index)
            }
            _ => None,
        }
    }

    fn at(self, part: &'s Value) -> Expected<'s> {
        Expected { part, depth: self.depth + 1, ..self }.resolved()
    }

    fn resolved(self) -> Expected<'s> {
        let target = self.part.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
        match target.and_then(|pointer| self.schema.pointer(pointer)) {
            Some(part) if self.depth < DEEPEST => self.at(part),
            _ => self,
        }
    }

    fn alternatives(self) -> Option<impl Iterator<Item = Expected<'s>>> {
        let of = self.part.get("oneOf").or_else(|| self.part.get("anyOf"))?.as_array()?;
        (self.depth < DEEPEST).then(|| of.iter().map(move |branch| self.at(branch)))
    }

    /// `const` and `enum`.
    fn values(self) -> impl Iterator<Item = &'s Value> {
        let listed = self.part.get("enum").and_then(Value::as_array);
        self.part.get("const").into_iter().chain(listed.into_iter().flatten())
    }

    fn words(self, words: &mut Vec<&'s str>) {
        words.extend(self.values().filter_map(Value::as_str));
        self.alternatives().into_iter().flatten().for_each(|branch| branch.words(words));
    }

    /// A value of this kind may be right.
    fn takes(self, found: &Value) -> bool {
        if let Some(mut alternatives) = self.alternatives() {
            return alternatives.any(|branch| branch.takes(found));
        }
        let mut values = self.values().peekable();
        if values.peek().is_some() {
            return values.any(|value| kind(value) == kind(found));
        }
        let mut types = self.types().peekable();
        match types.peek() {
            Some(_) => types.any(|of| is_of(of, found)),
            None => self.part.get("properties").is_none() || found.is_object(),
        }
    }

    fn types(self) -> impl Iterator<Item = &'s str> {
        let of = self.part.get("type");
        let several = of.and_then(Value::as_array).into_iter().flatten();
        of.into_iter().chain(several).filter_map(Value::as_str)
    }

    fn required(self) -> impl Iterator<Item = &'s str> {
        self.part.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The table's `key` has the value by which this alternative is known.
    fn is_tagged(self, key: &str, found: &Value) -> bool {
        let of_key = self.part.get("properties").and_then(|properties| properties.get(key));
        of_key.is_some_and(|part| self.at(part).values().any(|value| value == found))
    }

    fn forms(self, forms: &mut Vec<String>) {
        if let Some(alternatives) = self.alternatives() {
            return alternatives.for_each(|branch| branch.forms(forms));
        }
        let before = forms.len();
        forms.extend(self.values().filter(|value| !value.is_null()).map(Value::to_string));
        if forms.len() > before {
            return;
        }
        let types = self.types().filter_map(|of| self.form(of));
        forms.extend(types);
    }

    fn form(self, of: &str) -> Option<String> {
        let form = match of {
            "string" => match self.part.get("title").filter(|_| self.part.get("pattern").is_some()) {
                Some(title) => title.as_str()?,
                None => "a string",
            },
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => {
                let keys: Vec<String> = self.required().map(|key| format!("`{key}`")).collect();
                let with = if keys.is_empty() { "" } else { " with " };
                return Some(format!("a table{with}{}", keys.join(", ")));
            }
            // There is no null in a configuration.
            _ => return None,
        };
        Some(form.to_owned())
    }
}

fn is_of(of: &str, found: &Value) -> bool {
    match of {
        "string" => found.is_string(),
        "integer" | "number" => found.is_number(),
        "boolean" => found.is_boolean(),
        "array" => found.is_array(),
        "object" => found.is_object(),
        _ => false,
    }
}

const DEEPEST: u8 = 6;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn by() -> Value {
        json!({ "oneOf": [
            { "type": "string", "const": "consumer" },
            { "type": "string", "enum": ["ip", "route"] },
            { "type": "object", "required": ["header"], "properties": { "header": { "type": "string" } } },
        ] })
    }

    #[test]
    fn alternatives_are_listed_with_the_nearest() {
        let schema = json!({ "$defs": { "By": by() }, "anyOf": [{ "$ref": "#/$defs/By" }, { "type": "null" }] });
        let expected = Expected::new(&schema, &schema);
        assert_eq!(
            expected.instead_of(&json!("costumer")),
            "expected \"consumer\", \"ip\", \"route\" or a table with `header`, found another text"
        );
        assert_eq!(expected.hint(&json!("costumer")).as_deref(), Some("did you mean \"consumer\"?"));
        assert_eq!(expected.meant(&json!("costumer")), None);
        assert_eq!(expected.meant(&json!({ "headr": "x" })), Some(0));
        assert!(expected.instead_of(&json!(3)).ends_with("found a number"));
    }

    #[test]
    fn a_table_is_known_by_its_tag_or_its_keys() {
        let schema = json!({ "oneOf": [
            { "type": "object", "required": ["kind", "path"], "properties": { "kind": { "const": "file" } } },
            { "type": "object", "required": ["kind", "host"], "properties": { "kind": { "const": "tcp" } } },
            { "type": "object", "required": ["address"] },
        ] });
        let expected = Expected::new(&schema, &schema);
        assert_eq!(expected.meant(&json!({ "kind": "tcp" })), Some(1));
        assert_eq!(expected.meant(&json!({ "adress": "x" })), Some(2));
        assert_eq!(expected.meant(&json!({})), None);
    }

    #[test]
    fn a_schema_that_contains_itself_comes_to_an_end() {
        let schema = json!({ "anyOf": [{ "$ref": "#" }, { "type": "integer" }] });
        let expected = Expected::new(&schema, &schema);
        assert!(expected.instead_of(&json!("x")).contains("a whole number"));
        let itself = json!({ "$ref": "#" });
        assert_eq!(Expected::new(&itself, &itself).hint(&json!("x")), None);
    }
}
