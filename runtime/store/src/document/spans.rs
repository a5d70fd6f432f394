//! From TOML to a plain tree, and where each part of it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use tollgate_model::decode::{OwnedStep, Place, steps};
use tollgate_model::problem::Part;
use tollgate_model::{Problem, Problems};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Byte ranges of a value, its key and all that is in it.
#[derive(Debug)]
pub(super) struct Spans {
    pub key: Option<Range<usize>>,
    pub value: Range<usize>,
    pub children: Children,
}

#[derive(Debug)]
pub(super) enum Children {
    None,
    Table(BTreeMap<String, Spans>),
    List(Vec<Spans>),
}

impl Spans {
    pub fn at(&self, path: &str) -> Option<&Spans> {
        steps(path)?.iter().try_fold(self, |spans, step| spans.child(step))
    }

    fn child(&self, step: &OwnedStep) -> Option<&Spans> {
        match (&self.children, step) {
            (Children::Table(table), OwnedStep::Key(key)) => table.get(key),
            (Children::List(list), OwnedStep::Index(index)) => list.get(*index),
            _ => None,
        }
    }

    /// What a report should underline for a path: within one line, and the nearest thing around it
    /// if the path itself is not in the file.
    pub fn label(&self, text: &str, path: &str, part: Part) -> Range<usize> {
        let mut spans = self;
        for step in steps(path).unwrap_or_default() {
            match spans.child(&step) {
                Some(child) => spans = child,
                None => break,
            }
        }
        let one_line = |range: &Range<usize>| text.get(range.clone()).is_some_and(|text| !text.contains('\n'));
        match (&spans.key, part) {
            (Some(key), Part::Key) => key.clone(),
            (Some(key), Part::Value) if !one_line(&spans.value) => key.clone(),
            _ => first_line(text, &spans.value),
        }
    }
}

fn first_line(text: &str, range: &Range<usize>) -> Range<usize> {
    let line = text.get(range.clone()).and_then(|text| text.lines().next()).unwrap_or_default();
    range.start..range.start + line.trim_end().len()
}

/// What can't be converted becomes a string, with a problem.
pub(super) fn convert(table: &Spanned<DeTable<'_>>, problems: &mut Problems) -> (Value, Spans) {
    let (tree, children) = convert_table(table.get_ref(), &Place::Root, problems);
    // The whole has no key of its own; a problem with it points at the first line.
    (tree, Spans { key: None, value: table.span(), children })
}

fn convert_table(table: &DeTable<'_>, place: &Place<'_>, problems: &mut Problems) -> (Value, Children) {
    let mut values = Map::with_capacity(table.len());
    let mut spans = BTreeMap::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let (converted, children) = convert_value(value.get_ref(), &place.key(name), problems);
        values.insert(name.to_owned(), converted);
        spans.insert(name.to_owned(), Spans { key: Some(key.span()), value: value.span(), children });
    }
    (Value::Object(values), Children::Table(spans))
}

fn convert_value(value: &DeValue<'_>, place: &Place<'_>, problems: &mut Problems) -> (Value, Children) {
    let leaf = match value {
        DeValue::Table(table) => return convert_table(table, place, problems),
        DeValue::Array(items) => {
            let converted = items.iter().enumerate().map(|(index, item)| {
                let (value, children) = convert_value(item.get_ref(), &place.index(index), problems);
                (value, Spans { key: None, value: item.span(), children })
            });
            let (values, spans) = converted.unzip();
            return (Value::Array(values), Children::List(spans));
        }
        DeValue::String(text) => Ok(Value::String(text.as_ref().to_owned())),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::from)
            .map_err(|_| ("the number is too large", "whole numbers have 64 bits")),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or(("not a finite number", "write it out, as in 0.5")),
        DeValue::Datetime(_) => {
            Err(("dates and times have no meaning here", "put quotes around it to make it a string"))
        }
    };
    let value = leaf.unwrap_or_else(|(message, hint)| {
        problems.add(Problem::new(place, message).with_hint(hint));
        // Something has to be there, or it would be reported as missing as well.
        Value::String(message.to_owned())
    });
    (value, Children::None)
}
