use serde_json::Value;

use super::Outcome;
use super::api::{Api, path, shown, table};
use crate::cli::ChainArgs;

pub fn run(args: &ChainArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let chain = api.get(&path(&["routes", &args.route, "chain"]))?.json()?;
    api.show(&chain, || rendered(&chain))?;
    Ok(Outcome::Done)
}

/// In the order in which they run; what is probably not meant stands below.
fn rendered(chain: &Value) -> String {
    let row = |link: &Value| ["plugin", "module", "level", "on_error", "when"].map(|column| shown(&link[column]));
    let links = chain["data"].as_array().into_iter().flatten().map(row);
    let warnings = chain["warnings"].as_array().into_iter().flatten();
    let warnings: String = warnings.map(|warning| format!("warning: {}\n", shown(warning))).collect();
    table(["PLUGIN", "MODULE", "LEVEL", "ON_ERROR", "WHEN"], links) + &warnings
}
