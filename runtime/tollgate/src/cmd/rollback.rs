use serde_json::json;

use super::Outcome;
use super::api::{Api, path, query};
use super::changes;
use crate::cli::RollbackArgs;

pub fn run(args: &RollbackArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let target = path(&["revisions", &args.revision.to_string(), "rollback"]);
    let answer = api.post(&query(&target, api.writing(&args.write)), &json!({}))?;
    let told = answer.json()?;
    api.show(&told, || changes::rendered(&told))?;
    Ok(answer.outcome())
}
