//! Where each part of a JSON text stands.

use std::collections::BTreeMap;

use super::spans::{Children, Spans};

/// Of a text that serde_json has read: it is valid, and not nested deeper than that allows.
pub(super) fn spans(text: &str) -> Spans {
    let mut scan = Scan { text, at: 0 };
    scan.blanks();
    scan.value(None)
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl Scan<'_> {
    fn value(&mut self, key: Option<std::ops::Range<usize>>) -> Spans {
        let start = self.at;
        let children = match self.next() {
            Some(b'{') => Children::Table(self.members()),
            Some(b'[') => Children::List(self.items()),
            Some(b'"') => {
                self.string();
                Children::None
            }
            _ => {
                while self.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
                {
                    self.at += 1;
                }
                Children::None
            }
        };
        Spans { key, value: start..self.at, children }
    }

    fn members(&mut self) -> BTreeMap<String, Spans> {
        let mut members = BTreeMap::new();
        self.step();
        while self.next() == Some(b'"') {
            let start = self.at;
            self.string();
            let key = start..self.at;
            let name = serde_json::from_str(&self.text[key.clone()]).unwrap_or_default();
            self.blanks();
            // The colon.
            self.step();
            members.insert(name, self.value(Some(key)));
            self.separator();
        }
        self.at += 1;
        members
    }

    fn items(&mut self) -> Vec<Spans> {
        let mut items = Vec::new();
        self.step();
        while self.next().is_some_and(|byte| byte != b']') {
            items.push(self.value(None));
            self.separator();
        }
        self.at += 1;
        items
    }

    /// From quote to quote.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.next() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    fn separator(&mut self) {
        self.blanks();
        if self.next() == Some(b',') {
            self.step();
        }
    }

    /// Over one byte and what is blank behind it.
    fn step(&mut self) {
        self.at += 1;
        self.blanks();
    }

    fn blanks(&mut self) {
        while self.next().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tollgate_model::decode::Place;

    use super::*;

    #[test]
    fn every_value_is_found_at_its_place() {
        let text = r#" { "routes" : [ {"name":"a\"}", "n": -1.5e3, "t":true }, {} ],
                         "é": {"x": [] , "y": null} } "#;
        let spans = spans(text);
        let at = |path: &str| spans.at(path).map(|spans| &text[spans.value.clone()]);
        assert_eq!(at("routes[0].name"), Some(r#""a\"}""#));
        assert_eq!((at("routes[0].n"), at("routes[0].t")), (Some("-1.5e3"), Some("true")));
        assert_eq!((at("routes[1]"), at("routes[2]")), (Some("{}"), None));
        assert_eq!((at("\"é\".x"), at("\"é\".y")), (Some("[]"), Some("null")));
        assert_eq!(at(""), Some(text.trim()));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            "[a-z\\\\\"{}\\[\\]:, é]{0,6}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(json!(null)),
            Just(json!(-1.5e300)),
            Just(json!(false)),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z.\"\\[ é]{0,4}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn check(value: &Value, place: &Place<'_>, spans: &Spans, text: &str) {
        let found = spans.at(&place.to_string()).expect("a place");
        assert_eq!(&serde_json::from_str::<Value>(&text[found.value.clone()]).expect("JSON"), value);
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| check(value, &place.key(key), spans, text))
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| check(item, &place.index(index), spans, text));
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn places_point_at_the_text(value in any_value(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            check(&value, &Place::Root, &spans(&text), &text);
        }
    }
}
