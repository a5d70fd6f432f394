//! Bodies as `curl -d name=orders -d 'paths[]=/orders' -d config.limit=5` sends them.

use serde_json::{Map, Value};

/// A tree of `key=value` pairs. A dot in a key leads into a table, `[]` behind it adds to a list. Values are texts;
/// whole numbers, `true` and `false` are what they look like, unless the key is one that has texts only.
///
/// Says what is wrong with a pair that does not fit, without its value.
pub(super) fn parse(body: &[u8]) -> Result<Value, String> {
    let mut tree = Value::Object(Map::new());
    for (key, value) in form_urlencoded::parse(body) {
        insert(&mut tree, &key, &value).map_err(|problem| format!("the key `{key}` {problem}"))?;
    }
    Ok(tree)
}

fn insert(tree: &mut Value, key: &str, text: &str) -> Result<(), &'static str> {
    let (path, is_item) = match key.strip_suffix("[]") {
        Some(path) => (path, true),
        None => (key, false),
    };
    let steps: Vec<&str> = path.split('.').collect();
    if steps.len() > DEEPEST || steps.iter().any(|step| step.is_empty() || step.contains(['[', ']'])) {
        return Err("is not a name, or names with dots between, perhaps with `[]` at its end");
    }
    let mut place = tree;
    for (index, step) in steps.iter().enumerate() {
        if index > 0 && place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(table) = place else { return Err("leads into what has a value of its own") };
        place = table.entry(*step).or_insert(Value::Null);
    }
    let value = if is_text(&steps) { text.into() } else { typed(text) };
    match (place, is_item) {
        (place @ Value::Null, false) => *place = value,
        (place @ Value::Null, true) => *place = Value::Array(vec![value]),
        (Value::Array(items), true) => items.push(value),
        _ => return Err("is there twice"),
    }
    Ok(())
}

fn typed(text: &str) -> Value {
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => match text.parse::<i64>() {
            // `007` and `+7` are no numbers.
            Ok(number) if number.to_string() == text => number.into(),
            _ => text.into(),
        },
    }
}

/// Whether only texts can stand there, whatever they look like.
fn is_text(steps: &[&str]) -> bool {
    let matched = |step: &str| matches!(step, "headers" | "query");
    matches!(steps, [first, ..] if TEXTS.contains(first))
        || steps.iter().any(|step| matched(step)) && steps[0] != "config"
}

const TEXTS: [&str; 14] = [
    "name",
    "id",
    "key",
    "custom_id",
    "groups",
    "tags",
    "hosts",
    "host",
    "paths",
    "path",
    "methods",
    "service",
    "role",
    "address",
];
const DEEPEST: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dots_lead_into_tables_and_brackets_make_lists() {
        let body = b"name=limits&config.limits.window=1m&config.limits.limit=5&config.hide=true&tags%5B%5D=7&tags[]=b\
                     &paths[]=%2Fa+b&headers.x-version[]=1&config.headers[]=12&grants.credentials=true&custom_id=0012";
        assert_eq!(
            parse(body),
            Ok(json!({
                "name": "limits", "tags": ["7", "b"], "paths": ["/a b"], "custom_id": "0012",
                "headers": { "x-version": ["1"] }, "grants": { "credentials": true },
                "config": { "limits": { "window": "1m", "limit": 5 }, "hide": true, "headers": [12] },
            }))
        );
        assert_eq!(parse(b""), Ok(json!({})));
        assert_eq!(
            parse(b"config.n=-3&config.z=03&config.f=1.5"),
            Ok(json!({ "config": { "n": -3, "z": "03", "f": "1.5" } }))
        );
    }

    #[test]
    fn keys_that_contradict_each_other_are_refused() {
        for body in
            ["a=1&a=2", "a=1&a.b=2", "a.b=1&a=2", "a[]=1&a=2", "a=1&a[]=2", "a..b=1", ".=1", "=1", "a[0]=1", "a[]b=1"]
        {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse(format!("{}=1", vec!["a"; 1000].join(".")).as_bytes()).is_err());
    }
}
