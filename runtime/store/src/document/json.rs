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
                while self.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+')) {
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
}
