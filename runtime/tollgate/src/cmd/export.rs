use anyhow::Context;
use serde_json::Value;

use super::Outcome;
use super::api::{Api, note, query, say};
use crate::cli::{ExportArgs, Format, Output};

pub fn run(args: &ExportArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let format = args.format.unwrap_or(match api.output() {
        Output::Text => Format::Toml,
        Output::Json => Format::Json,
    });
    let word = if format == Format::Toml { "toml" } else { "json" };
    let answer = api.get(&query("/config", [("format", word.to_owned())]))?;
    let text = match format {
        Format::Json => format!("{:#}\n", answer.json()?),
        Format::Toml if answer.is_toml() => String::from_utf8_lossy(&answer.body).into_owned(),
        // A node whose store is a file tells JSON only.
        Format::Toml => as_toml(answer.json()?)?,
    };
    if text.contains(HIDDEN) {
        note("secrets are left out, as [hidden]: applied to this node, that keeps those that it has");
    }
    say(&text)?;
    Ok(Outcome::Done)
}

fn as_toml(mut tree: Value) -> anyhow::Result<String> {
    without_nulls(&mut tree);
    toml::to_string(&tree).context("the configuration can't be written as TOML")
}

/// TOML has none.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(table) => {
            table.retain(|_, value| !value.is_null());
            table.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

const HIDDEN: &str = "[hidden]";

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_model::ConfigSet;

    use super::*;

    #[test]
    fn toml_says_the_same_as_json() {
        let tree = json!({
            "routes": [{ "name": "a", "service": "s", "paths": ["/"], "headers": { "x": ["1"] }, "priority": 0 }],
            "chain": [],
            "services": [{ "name": "s", "url": "http://127.0.0.1", "tags": [], "tls": null }],
        });
        let text = as_toml(tree.clone()).expect("TOML");
        let read: Value = toml::from_str(&text).expect("TOML");
        assert_eq!(ConfigSet::assemble(&read, None).expect("valid").routes.len(), 1, "{text}");
        assert_eq!(read["services"][0]["name"], "s");
    }
}
