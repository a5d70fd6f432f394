//! `[hidden]` that comes back: the secret that is stored at its place stays.

use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::Place;
use tollgate_model::problem::{Complaint, Problem};
use tollgate_model::secrets::HIDDEN;

/// Whether there is anything to restore.
pub(super) fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text == HIDDEN,
        Value::Array(items) => items.iter().any(is_in),
        Value::Object(table) => table.values().any(is_in),
        _ => false,
    }
}

/// Puts what `stored` has at the same place where `value` says `[hidden]`. Items of a list are the same place if they
/// have the same name or, in a list of the same length, the same position. `place`: of `value`, for problems.
pub(super) fn restore(value: &mut Value, stored: Option<&Value>, place: &Place<'_>, problems: &mut Problems) {
    match value {
        Value::String(text) if text == HIDDEN => match stored {
            Some(stored) => *value = stored.clone(),
            None => {
                let message = format!("nothing is stored here that `{HIDDEN}` could stand for");
                problems.add(Problem::new(place, Complaint::new(message, "write the secret itself")));
            }
        },
        Value::Object(table) => {
            for (key, value) in table {
                restore(value, stored.and_then(|stored| stored.get(key)), &place.key(key), problems);
            }
        }
        Value::Array(items) => {
            let stored = stored.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let is_aligned = items.len() == stored.len();
            for (index, item) in items.iter_mut().enumerate() {
                let same = match named(item) {
                    Some(name) => stored.iter().find(|stored| named(stored) == Some(name)),
                    None => stored.get(index).filter(|stored| is_aligned && named(stored).is_none()),
                };
                restore(item, same, &place.index(index), problems);
            }
        }
        _ => {}
    }
}

fn named(item: &Value) -> Option<&str> {
    item.get("name").or_else(|| item.get("id"))?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_come_back_to_their_own_places_only() {
        let stored = json!({
            "config": { "password": "a", "list": [{ "name": "x", "value": "b" }, { "name": "y", "value": "c" }],
                        "tokens": ["d", "e"] },
        });
        let mut sent = json!({
            "config": { "password": HIDDEN, "list": [{ "name": "y", "value": HIDDEN }], "tokens": [HIDDEN, "f"] },
        });
        let mut problems = Problems::default();
        restore(&mut sent, Some(&stored), &Place::Root, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(
            sent,
            json!({ "config": { "password": "a", "list": [{ "name": "y", "value": "c" }], "tokens": ["d", "f"] } })
        );
        let mut sent =
            json!({ "config": { "pass": HIDDEN, "tokens": [HIDDEN], "list": [{ "name": "z", "value": HIDDEN }] } });
        restore(&mut sent, Some(&stored), &Place::Root, &mut problems);
        let places: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(places, ["config.list[0].value", "config.pass", "config.tokens[0]"]);
    }
}
