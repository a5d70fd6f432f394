use std::path::Path;

use http::Method;
use serde_json::{Value, json};

use super::Outcome;
use super::api::{Api, Failure, path, query, shown, table};
use super::changes;
use crate::cli::{ApiArgs, PluginVerb, WriteArgs};

pub fn run(verb: &PluginVerb) -> anyhow::Result<Outcome> {
    match verb {
        PluginVerb::List { api } => list(api),
        PluginVerb::Push { file, name, write, api } => push(file, name.as_deref(), write, api),
    }
}

fn list(api: &ApiArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(api)?;
    let told = json!({ "modules": api.list("/modules?size=1000")?, "plugins": api.list("/plugins?size=1000")? });
    api.show(&told, || rendered(&told))?;
    Ok(Outcome::Done)
}

fn rendered(told: &Value) -> String {
    let rows = |list: &str| told[list].as_array().cloned().unwrap_or_default();
    let module = |module: Value| {
        let from = match (module["from_cluster"].as_bool(), module["overrides"].is_null()) {
            (Some(true), _) => "cluster",
            (_, true) => "folder",
            (_, false) => "folder, in front of the cluster's",
        };
        let digest = shown(&module["digest"]).chars().take(12).collect();
        let [name, state, version] = ["name", "state", "version"].map(|column| shown(&module[column]));
        [name, state, version, digest, from.to_owned()]
    };
    let plugin = |plugin: Value| {
        let [name, module, state, uses] =
            ["name", "module", "state", "used_by_count"].map(|column| shown(&plugin[column]));
        let reason = if plugin["reason"].is_null() { String::new() } else { shown(&plugin["reason"]) };
        [name, module, state, uses, reason]
    };
    let modules = table(["MODULE", "STATE", "VERSION", "DIGEST", "FROM"], rows("modules").into_iter().map(module));
    let plugins = table(["PLUGIN", "MODULE", "STATE", "USES", "REASON"], rows("plugins").into_iter().map(plugin));
    format!("{modules}\n{plugins}")
}

fn push(file: &Path, name: Option<&str>, write: &WriteArgs, api: &ApiArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(api)?;
    let bytes =
        std::fs::read(file).map_err(|error| Failure::usage(format!("{} can't be read: {error}", file.display())))?;
    let of_file = file.file_stem().and_then(|stem| stem.to_str());
    let name = name.or(of_file).ok_or_else(|| Failure::usage("the file's name is no text; give one by --name"))?;
    let target = query(&path(&["modules", name]), api.writing(write));
    let answer = api.send(Method::PUT, &target, "application/wasm", bytes)?;
    let told = answer.json()?;
    api.show(&told, || {
        let done = if write.dry_run { "could be uploaded" } else { "is the cluster's" };
        let [name, version, digest, revision] = ["name", "version", "digest", "revision"].map(|key| shown(&told[key]));
        format!(
            "module {name}, version {version}, {done}: digest {digest}, revision {revision}\n{}",
            changes::waiting(&told)
        )
    })?;
    Ok(answer.outcome())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_plugins_are_listed_with_where_they_are_from_and_how_they_fare() {
        let text = rendered(&json!({
            "modules": [
                { "name": "acl", "state": "serving", "version": "1.0", "digest": "0123456789abcdef", "from_cluster": true },
                { "name": "own", "state": "broken", "version": null, "digest": null, "from_cluster": false, "overrides": "ff" },
            ],
            "plugins": [{ "name": "a", "module": "acl", "state": "degraded", "used_by_count": 2, "reason": "no" }],
        }));
        assert!(text.contains("acl     serving  1.0      0123456789ab  cluster\n"), "{text}");
        assert!(text.contains("own     broken   -        -             folder, in front of the cluster's\n"), "{text}");
        assert!(text.contains("a       acl     degraded  2     no\n"), "{text}");
    }
}
