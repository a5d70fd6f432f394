//! `when = { … }`

use serde_json::Value;

use super::{Decode, Fields, Place, at_least_one, pattern};
use crate::Problems;
use crate::condition::Condition;
use crate::problem::Problem;

impl Decode for Condition {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Condition> {
        let mut fields = Fields::open(value, place, problems);
        let condition = Condition {
            methods: fields.maybe_with("methods", pattern::methods).unwrap_or_default(),
            hosts: fields.maybe_with("hosts", at_least_one).unwrap_or_default(),
            paths: fields.maybe_with("paths", at_least_one).unwrap_or_default(),
            headers: fields.maybe_with("headers", pattern::headers).unwrap_or_default(),
            query: fields.maybe_with("query", pattern::query).unwrap_or_default(),
            addresses: fields.maybe_with("addresses", at_least_one).unwrap_or_default(),
            not: fields.maybe_with("not", inverted).map(Box::new),
        };
        fields.finish()?;
        Some(condition)
    }
}

/// An empty condition always holds, so its inversion never would.
fn inverted(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Condition> {
    let condition = Condition::decode(value, place, problems)?;
    if condition == Condition::default() {
        problems.add(Problem::new(place, "never holds: an empty condition always does").at_key());
        return None;
    }
    Some(condition)
}
