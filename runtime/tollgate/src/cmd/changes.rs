//! What a write changed, as people read it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::shown;

/// Every change on its line, and the revision. `answer` is that of a write of many entities.
pub fn rendered(answer: &Value) -> String {
    let changes = answer["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text: String = changes.iter().map(|change| format!("{}\n", line(change))).collect();
    let more = answer["count"].as_u64().unwrap_or_default().saturating_sub(changes.len() as u64);
    if more > 0 {
        text += &format!("… and {more} more\n");
    }
    let revision = shown(&answer["revision"]);
    text += &match (changes.is_empty(), answer["dry_run"] == true) {
        (true, _) => format!("nothing to change, revision {revision}\n"),
        (false, true) => format!("nothing was changed yet, this is what would be; checked at revision {revision}\n"),
        (false, false) => format!("revision {revision}\n"),
    };
    text + &waiting(answer)
}

/// What is to be waited for after a write, if anything is.
pub fn waiting(answer: &Value) -> String {
    let mut text = String::new();
    if answer["applied"] == false {
        text += "the node that was asked does not serve by it yet\n";
    }
    for node in answer["behind"].as_array().into_iter().flatten() {
        text += &format!(
            "{} does not serve by it yet, but by revision {}\n",
            shown(&node["node"]),
            shown(&node["revision"])
        );
    }
    text
}

/// `+ route orders`
fn line(change: &Value) -> String {
    let mark = match change["action"].as_str() {
        Some("created") => '+',
        Some("deleted") => '-',
        _ => '~',
    };
    format!("{mark} {} {}", shown(&change["kind"]), shown(&change["name"]))
}

/// The first few changes of a revision in one line.
pub fn summary(revision: &Value) -> String {
    let changes = revision["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut parts: Vec<String> = changes.iter().take(FEW).map(line).collect();
    let count = revision["count"].as_u64().unwrap_or(changes.len() as u64);
    let more = count.saturating_sub(parts.len() as u64);
    if more > 0 {
        parts.push(format!("… {more} more"));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// Every change, and how what is updated differs.
pub fn differences(answer: &Value) -> String {
    let mut text = String::new();
    for change in answer["changes"].as_array().into_iter().flatten() {
        text += &format!("{}\n", line(change));
        if change["action"] == "updated" && !change["before"].is_null() && !change["after"].is_null() {
            text += &differing(&change["before"], &change["after"]);
        }
    }
    text
}

fn differing(before: &Value, after: &Value) -> String {
    let (before, after) = (leaves(before), leaves(after));
    let mut text = String::new();
    for (path, is) in &after {
        match before.get(path) {
            Some(was) if was == is => {}
            Some(was) => text += &format!("    {path}: {was} → {is}\n"),
            None => text += &format!("    + {path}: {is}\n"),
        }
    }
    for (path, was) in before.iter().filter(|(path, _)| !after.contains_key(*path)) {
        text += &format!("    - {path}: {was}\n");
    }
    // Both are shown without them.
    if text.is_empty() { "    secrets, which are not shown\n".to_owned() } else { text }
}

/// Values by their place; a list of plain values is one.
fn leaves(value: &Value) -> BTreeMap<String, String> {
    fn walk(value: &Value, place: &str, leaves: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(table) if !table.is_empty() => {
                for (key, value) in table {
                    let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                    walk(value, &place, leaves);
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{place}[{index}]"), leaves);
                }
            }
            other => {
                leaves.insert(place.to_owned(), shown(&other.to_string().into()));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(value, "", &mut found);
    found
}

const FEW: usize = 3;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_told_by_line_with_the_revision() {
        let change = |action: &str, kind: &str, name: &str| json!({ "action": action, "kind": kind, "name": name });
        let changes = json!([
            change("created", "route", "orders"),
            change("updated", "service", "a"),
            change("deleted", "plugin", "b")
        ]);
        let answer = json!({ "changes": changes, "count": 3, "revision": 12 });
        assert_eq!(rendered(&answer), "+ route orders\n~ service a\n- plugin b\nrevision 12\n");
        assert_eq!(
            summary(&json!({ "changes": changes, "count": 103 })),
            "+ route orders, ~ service a, - plugin b, … 100 more"
        );
        let answer = json!({ "changes": [], "count": 0, "revision": 12 });
        assert_eq!(rendered(&answer), "nothing to change, revision 12\n");
        let answer = json!({
            "changes": [changes[0]], "count": 101, "revision": 12, "dry_run": true, "applied": false,
            "behind": [{ "node": "b", "id": "x", "revision": 11 }],
        });
        let told = rendered(&answer);
        for part in [
            "… and 100 more",
            "nothing was changed yet",
            "revision 12",
            "not serve by it yet",
            "b does not",
            "revision 11",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn what_is_updated_is_told_value_by_value() {
        let before = json!({ "name": "a", "timeouts": { "connect": "5s", "idle": "1m" }, "tags": ["x"], "old": 1 });
        let after = json!({ "name": "a", "timeouts": { "connect": "9s", "idle": "1m" }, "tags": ["x", "y"], "new": [{ "k": true }] });
        let change = |before: &Value, after: &Value| json!({ "changes": [{ "action": "updated", "kind": "service", "name": "a", "before": before, "after": after }] });
        assert_eq!(
            differences(&change(&before, &after)),
            "~ service a\n    + new[0].k: true\n    tags: [\"x\"] → [\"x\",\"y\"]\n    timeouts.connect: \"5s\" → \"9s\"\n    - old: 1\n"
        );
        assert_eq!(differences(&change(&before, &before)), "~ service a\n    secrets, which are not shown\n");
    }
}
