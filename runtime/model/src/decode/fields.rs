//! Reading a table.

use serde_json::{Map, Value};

use super::{Decode, Place, closest};
use crate::Problems;
use crate::problem::{Complaint, Problem};

/// A table that is being read, key by key. A key whose value is `null` counts as left out.
///
/// [`Fields::finish`] reports the keys that nobody asked for, so it has to come after every read.
#[must_use = "call `finish`, which reports unknown keys"]
pub struct Fields<'v, 'p> {
    /// `None`: what is there is no table. The problem at `problems_before` says so.
    table: Option<&'v Map<String, Value>>,
    place: &'p Place<'p>,
    problems: &'p mut Problems,
    problems_before: usize,
    known: Vec<&'static str>,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// What is no table has no keys, with a problem; `finish` then answers `None`, and names the keys that were asked
    /// for.
    pub fn open(value: &'v Value, place: &'p Place<'p>, problems: &'p mut Problems) -> Fields<'v, 'p> {
        let problems_before = problems.len();
        let table = value.as_object();
        if table.is_none() {
            problems.add(Problem::new(place, format!("expected a table, found {}", kind(value))));
        }
        Fields { table, place, problems, problems_before, known: Vec::with_capacity(table.map_or(0, Map::len)) }
    }

    /// The value of `key`; `None`, with a problem, if it is missing or refused.
    pub fn required<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        self.required_with(key, T::decode)
    }

    /// As [`Fields::required`], read by a function.
    pub fn required_with<T>(&mut self, key: &'static str, decode: impl DecodeWith<T>) -> Option<T> {
        if self.value(key).is_none() {
            self.problems.add(Problem::new(self.place, format!("`{key}` is missing")));
            return None;
        }
        self.maybe_with(key, decode)
    }

    /// The value of `key`, or `default` if the key is not there. Also `default`, with a problem, if
    /// the value is refused: `finish` then answers `None`.
    pub fn optional<T: Decode>(&mut self, key: &'static str, default: T) -> T {
        self.maybe(key).unwrap_or(default)
    }

    /// The value of `key`; `None` if the key is not there or, with a problem, if its value is refused.
    pub fn maybe<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        self.maybe_with(key, T::decode)
    }

    /// As [`Fields::maybe`], read by a function.
    pub fn maybe_with<T>(&mut self, key: &'static str, decode: impl DecodeWith<T>) -> Option<T> {
        let value = self.value(key)?;
        decode(value, &self.place.key(key), self.problems)
    }

    /// Whether `key` is there. Counts as knowing the key.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// Whether there is a key that nobody asked for up to now.
    pub fn has_unknown(&self) -> bool {
        self.table.is_some_and(|table| table.keys().any(|key| !self.known.contains(&key.as_str())))
    }

    /// Notes a problem with the value of `key`.
    pub fn refuse(&mut self, key: &'static str, complaint: impl Into<Complaint>) {
        self.problems.add(Problem::new(&self.place.key(key), complaint));
    }

    /// Notes a problem with the fact that `key` is there.
    pub fn refuse_key(&mut self, key: &'static str, complaint: impl Into<Complaint>) {
        self.problems.add(Problem::new(&self.place.key(key), complaint).at_key());
    }

    /// Notes a problem with the table as a whole.
    pub fn refuse_table(&mut self, complaint: impl Into<Complaint>) {
        self.problems.add(Problem::new(self.place, complaint));
    }

    /// Notes a problem that has more to it; its place is made by [`Place::key`] of [`Fields::place`].
    pub fn add(&mut self, problem: Problem) {
        self.problems.add(problem);
    }

    pub fn place(&self) -> &'p Place<'p> {
        self.place
    }

    /// Reports keys that nobody asked for. `None` if anything in this table was refused.
    pub fn finish(self) -> Option<()> {
        let Some(table) = self.table else {
            // What else was found follows from it.
            self.problems.0.truncate(self.problems_before + 1);
            if let Some(problem) = self.problems.0.last_mut() {
                let written = self.place.assigned("{ … }");
                problem.hint = Some(format!("write {written}; known there: {}", self.known.join(", ")));
            }
            return None;
        };
        for key in table.keys() {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let mut problem = Problem::new(&self.place.key(key), format!("unknown key `{key}`")).at_key();
            problem.hint = Some(match closest(key, self.known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            });
            self.problems.add(problem);
        }
        (self.problems.len() == self.problems_before).then_some(())
    }

    fn value(&mut self, key: &'static str) -> Option<&'v Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table?.get(key).filter(|value| !value.is_null())
    }
}

/// A function that reads a value, with the contract of [`Decode::decode`].
pub trait DecodeWith<T>: FnOnce(&Value, &Place<'_>, &mut Problems) -> Option<T> {}

impl<T, F: FnOnce(&Value, &Place<'_>, &mut Problems) -> Option<T>> DecodeWith<T> for F {}

/// What a value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
