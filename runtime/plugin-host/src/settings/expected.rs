//! What a part of a module's schema takes, in words.

use std::cell::Cell;

use serde_json::{Map, Value};
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
    /// `part` is where a keyword failed: what a `$ref` next to it leads to is another matter.
    pub(super) fn new(schema: &'s Value, part: &'s Value) -> Expected<'s> {
        Expected { schema, part, depth: 0 }
    }

    /// What is expected, and what was found instead. The value itself is not quoted.
    pub(super) fn instead_of(self, found: &Value) -> String {
        let mut forms = Vec::new();
        self.forms(&mut forms, &Cell::new(VISITS));
        let more = format!("one of {} more", forms.len().saturating_sub(LISTED));
        // One more takes no more room than saying so.
        if forms.len() > LISTED + 1 {
            forms.truncate(LISTED);
            forms.push(more);
        }
        let forms = match &forms[..] {
            [] => "another value".to_owned(),
            [one] => one.clone(),
            [most @ .., last] => format!("{} or {last}", most.join(", ")),
        };
        let found = match found {
            Value::String(_) if self.may_be(found) => "another text",
            Value::Number(_) if self.may_be(&1.into()) && !self.may_be(found) => "a number with a fraction",
            _ => kind(found),
        };
        format!("expected {forms}, found {found}")
    }

    /// How to write what was meant.
    pub(super) fn hint(self, found: &Value) -> Option<String> {
        let takes = |example: Value| self.may_be(&example);
        let mut words = Vec::new();
        self.words(&mut words, &Cell::new(VISITS));
        match found {
            Value::String(text) if !words.is_empty() => {
                closest(text, words).map(|near| format!("did you mean \"{near}\"?"))
            }
            Value::String(_) if takes("".into()) => None,
            Value::String(text) if takes(10.into()) && text.parse::<i64>().is_ok() => {
                Some("write it without quotes".to_owned())
            }
            Value::String(_) if takes(10.into()) => Some("write it without quotes, as in 10".to_owned()),
            Value::String(_) if takes(true.into()) => Some("write it without quotes, as in true".to_owned()),
            Value::String(_) if takes(Value::Array(Vec::new())) => {
                let items = self.items(&Cell::new(VISITS));
                let item_is = |example: Value| items.is_none_or(|items| items.may_be(&example));
                Some(match (item_is("".into()), item_is(Value::Object(Map::new()))) {
                    (true, _) => "write [\"…\"]".to_owned(),
                    (false, true) => "write [{ … }]".to_owned(),
                    (false, false) => "write [ … ]".to_owned(),
                })
            }
            Value::Object(_) if !self.may_be(found) && takes(Value::Array(Vec::new())) => {
                let items = self.items(&Cell::new(VISITS))?;
                items.may_be(found).then(|| "put it in a list: [{ … }]".to_owned())
            }
            Value::Number(_) | Value::Bool(_) if words.is_empty() && takes("".into()) => {
                Some("write it in quotes".to_owned())
            }
            _ => None,
        }
    }

    /// Which of the `branches` alternatives of `keyword` was meant, by the kind of the value, and of
    /// tables by their keys.
    pub(super) fn meant(self, keyword: &str, branches: usize, found: &Value) -> Option<usize> {
        let of = self.part.get(keyword)?.as_array().filter(|of| of.len() == branches)?;
        let visits = Cell::new(VISITS);
        let alternatives: Vec<_> = of.iter().take(WIDEST).map(|branch| self.at(branch)).collect();
        let mut words = Vec::new();
        alternatives.iter().for_each(|branch| branch.words(&mut words, &visits));
        if found.is_string() && !words.is_empty() {
            // They are listed together.
            return None;
        }
        visits.set(VISITS);
        let candidates: Vec<_> =
            alternatives.into_iter().enumerate().filter(|(_, branch)| branch.takes(found, &visits)).collect();
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

    /// Those that there are visits left for.
    fn alternatives(self, visits: &Cell<u32>) -> Option<impl Iterator<Item = Expected<'s>>> {
        let of = self.part.get("oneOf").or_else(|| self.part.get("anyOf"))?.as_array()?;
        let visited = of.iter().take_while(move |_| {
            let left = visits.get();
            visits.set(left.saturating_sub(1));
            left > 0
        });
        (self.depth < DEEPEST).then(|| visited.map(move |branch| self.at(branch)))
    }

    /// What the list takes, if there is a word on it.
    fn items(self, visits: &Cell<u32>) -> Option<Expected<'s>> {
        match self.part.get("items") {
            Some(items) => Some(self.at(items)),
            None => self.alternatives(visits)?.find_map(|branch| branch.items(visits)),
        }
    }

    /// `const` and `enum`.
    fn values(self) -> impl Iterator<Item = &'s Value> {
        let listed = self.part.get("enum").and_then(Value::as_array);
        self.part.get("const").into_iter().chain(listed.into_iter().flatten()).take(WIDEST)
    }

    fn words(self, words: &mut Vec<&'s str>, visits: &Cell<u32>) {
        words.extend(self.values().filter_map(Value::as_str));
        self.alternatives(visits).into_iter().flatten().for_each(|branch| branch.words(words, visits));
    }

    /// A value of this kind may be right.
    fn may_be(self, found: &Value) -> bool {
        self.takes(found, &Cell::new(VISITS))
    }

    fn takes(self, found: &Value, visits: &Cell<u32>) -> bool {
        if let Some(mut alternatives) = self.alternatives(visits) {
            return alternatives.any(|branch| branch.takes(found, visits));
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
        of.into_iter().chain(several).filter_map(Value::as_str).take(TYPES)
    }

    fn required(self) -> impl Iterator<Item = &'s str> {
        let required = self.part.get("required").and_then(Value::as_array);
        required.into_iter().flatten().filter_map(Value::as_str).take(REQUIRED)
    }

    /// The table's `key` has the value by which this alternative is known.
    fn is_tagged(self, key: &str, found: &Value) -> bool {
        let of_key = self.part.get("properties").and_then(|properties| properties.get(key));
        of_key.is_some_and(|part| self.at(part).values().any(|value| value == found))
    }

    /// Each form once.
    fn forms(self, forms: &mut Vec<String>, visits: &Cell<u32>) {
        if let Some(alternatives) = self.alternatives(visits) {
            return alternatives.for_each(|branch| branch.forms(forms, visits));
        }
        let mut add = |form: String| {
            if forms.len() < WIDEST && !forms.contains(&form) {
                forms.push(form);
            }
        };
        let mut values = self.values().filter(|value| !value.is_null()).peekable();
        if values.peek().is_some() {
            return values.for_each(|value| add(value.to_string()));
        }
        self.types().filter_map(|of| self.form(of)).for_each(add);
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
        "integer" => found.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => found.is_number(),
        "boolean" => found.is_boolean(),
        "array" => found.is_array(),
        "object" => found.is_object(),
        _ => false,
    }
}

// A schema comes from a module, which may mean harm: none makes an explanation take long.

/// References followed on the way to a part.
const DEEPEST: u8 = 6;
/// Alternatives looked at for one question.
const VISITS: u32 = 256;
/// Values of one part, alternatives of one keyword and forms in one message that are looked at.
const WIDEST: usize = 256;
/// Required keys of one table that are looked at.
const REQUIRED: usize = 64;
/// There are seven, and one may stand twice.
const TYPES: usize = 8;
/// Forms listed in a message.
const LISTED: usize = 8;

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
        assert_eq!(expected.meant("anyOf", 2, &json!("costumer")), None);
        assert_eq!(expected.meant("anyOf", 2, &json!({ "headr": "x" })), Some(0));
        assert_eq!(expected.meant("anyOf", 3, &json!({ "headr": "x" })), None, "other alternatives than asked about");
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
        let meant = |found: Value| expected.meant("oneOf", 3, &found);
        assert_eq!(meant(json!({ "kind": "tcp" })), Some(1));
        assert_eq!(meant(json!({ "adress": "x" })), Some(2));
        assert_eq!(meant(json!({})), None);
    }

    #[test]
    fn the_alternatives_are_those_of_the_keyword_that_failed() {
        let table = json!({ "type": "object", "required": ["a"] });
        let schema = json!({
            "$defs": { "Other": { "anyOf": [{ "type": "integer" }, { "type": "string" }] } },
            "$ref": "#/$defs/Other",
            "oneOf": [{ "type": "string" }, { "type": "boolean" }],
            "anyOf": [{ "type": "integer" }, table],
        });
        let expected = Expected::new(&schema, &schema);
        assert_eq!(expected.meant("anyOf", 2, &json!({})), Some(1));
        assert_eq!(expected.meant("oneOf", 2, &json!("x")), Some(0));
        assert_eq!(expected.meant("oneOf", 2, &json!({})), None);
    }

    #[test]
    fn a_whole_number_has_no_fraction() {
        let schema = json!({ "type": ["integer", "null"] });
        let expected = Expected::new(&schema, &schema);
        assert_eq!(expected.instead_of(&json!(1.5)), "expected a whole number, found a number with a fraction");
        assert_eq!(expected.instead_of(&json!("x")), "expected a whole number, found a string");
        assert!(is_of("integer", &json!(2.0)) && is_of("integer", &json!(u64::MAX)) && is_of("integer", &json!(-1)));
        assert!(is_of("number", &json!(1.5)));
    }

    #[test]
    fn a_hint_fits_what_was_found_and_what_is_taken() {
        let hint = |schema: Value, found: Value| Expected::new(&schema, &schema).hint(&found);
        let list = |items: Value| json!({ "anyOf": [{ "type": "array", "items": items }, { "type": "null" }] });
        let table = json!({ "type": "object", "properties": {} });
        assert_eq!(hint(list(json!({ "type": "string" })), json!("x")).as_deref(), Some("write [\"…\"]"));
        assert_eq!(hint(json!({ "type": "array" }), json!("x")).as_deref(), Some("write [\"…\"]"));
        assert_eq!(hint(list(table.clone()), json!("x")).as_deref(), Some("write [{ … }]"));
        assert_eq!(hint(list(json!({ "type": "integer" })), json!("x")).as_deref(), Some("write [ … ]"));
        assert_eq!(hint(list(table.clone()), json!({ "a": 1 })).as_deref(), Some("put it in a list: [{ … }]"));
        assert_eq!(hint(list(json!({ "type": "string" })), json!({ "a": 1 })), None);
        assert_eq!(hint(table, json!({ "a": 1 })), None);
        let status = json!({ "type": "integer", "minimum": 400 });
        assert_eq!(hint(status.clone(), json!("429")).as_deref(), Some("write it without quotes"));
        assert_eq!(hint(status, json!("x")).as_deref(), Some("write it without quotes, as in 10"));
    }

    #[test]
    fn many_forms_are_cut_short_and_none_is_told_twice() {
        let words: Vec<String> = (0..20).map(|number| format!("w{number}")).collect();
        let schema = json!({ "anyOf": [{ "enum": &words }, { "type": "integer" }, { "enum": &words }] });
        let told = Expected::new(&schema, &schema).instead_of(&json!(true));
        assert!(told.contains("\"w7\" or one of 13 more, found a boolean"), "{told}");
        let schema = json!({ "enum": &words[..9] });
        let told = Expected::new(&schema, &schema).instead_of(&json!(true));
        assert!(told.contains("\"w7\" or \"w8\", found"), "{told}");
    }

    #[test]
    fn a_wide_schema_that_contains_itself_comes_to_an_end_soon() {
        let mut branches = vec![json!({ "$ref": "#" }); 1_000];
        branches.push(json!({ "type": "integer" }));
        let schema = json!({ "anyOf": branches });
        let expected = Expected::new(&schema, &schema);
        // Without a limit these would be 1000^6 steps.
        assert!(expected.instead_of(&json!("x")).starts_with("expected "));
        expected.hint(&json!("x"));
        expected.hint(&json!({}));
        expected.meant("anyOf", 1_001, &json!({ "a": 1 }));
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
