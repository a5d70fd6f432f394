use serde_json::Value;

use super::Outcome;
use super::api::{Api, shown, table};
use super::changes;
use crate::cli::HistoryArgs;

pub fn run(args: &HistoryArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let told = api.get(&format!("/revisions?size={}", args.limit))?.json()?;
    api.show(&told, || rendered(&told))?;
    Ok(Outcome::Done)
}

fn rendered(told: &Value) -> String {
    let row = |step: &Value| {
        let [revision, at, author] = ["revision", "at", "author"].map(|column| shown(&step[column]));
        [revision, at, author, changes::summary(step)]
    };
    table(["REVISION", "AT", "AUTHOR", "CHANGES"], told["data"].as_array().into_iter().flatten().map(row))
}
