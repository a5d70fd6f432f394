use serde_json::Value;

use super::Outcome;
use super::api::{Api, shown, table};
use super::changes;
use crate::cli::HistoryArgs;

pub fn run(args: &HistoryArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let told = api.get(&format!("/audit?size={}", args.limit))?.json()?;
    api.show(&told, || rendered(&told))?;
    Ok(Outcome::Done)
}

fn rendered(told: &Value) -> String {
    let row = |entry: &Value| {
        let columns = ["revision", "at", "author", "node", "action"];
        let [revision, at, author, node, action] = columns.map(|column| shown(&entry[column]));
        [revision, at, author, node, action, changes::summary(entry)]
    };
    let rows = told["data"].as_array().into_iter().flatten().map(row);
    table(["REVISION", "AT", "AUTHOR", "NODE", "ACTION", "CHANGES"], rows)
}
