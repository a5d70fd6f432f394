use serde_json::Value;

use super::Outcome;
use super::api::{Api, shown, table};
use crate::cli::MembersArgs;

pub fn run(args: &MembersArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    api.show_list(api.list("/nodes")?, rendered)?;
    Ok(Outcome::Done)
}

fn rendered(nodes: &[Value]) -> String {
    let row = |node: &Value| {
        let [name, version, revision, id] = ["name", "version", "revision", "id"].map(|column| shown(&node[column]));
        let silent = node["silent_for_ms"]
            .as_u64()
            .map_or_else(|| "-".to_owned(), |ms| format!("{}.{}s", ms / 1000, ms % 1000 / 100));
        [name, version, revision, silent, id]
    };
    table(["NODE", "VERSION", "REVISION", "SILENT FOR", "ID"], nodes.iter().map(row))
}
