use std::fmt;

use super::Outcome;
use super::api::{Api, query};
use super::changes;
use super::files::Files;
use crate::cli::DiffArgs;

/// Why there is neither a difference nor none: its exit code is not that of a difference.
#[derive(Debug)]
pub struct Incomparable;

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the files can't be compared with what the node has")
    }
}

/// Exits as `diff` does.
pub fn run(args: &DiffArgs) -> anyhow::Result<Outcome> {
    compare(args).map_err(|error| error.context(Incomparable))
}

fn compare(args: &DiffArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let files = Files::read(&args.files.files)?;
    let prune = args.files.no_prune.then(|| ("prune", "false".to_owned()));
    let answer = api.post(&query("/config/diff", prune), files.tree()).map_err(|error| files.placed(error))?;
    let told = answer.json()?;
    api.show(&told, || changes::differences(&told))?;
    let is_same = told["changes"].as_array().is_some_and(Vec::is_empty);
    Ok(if is_same { Outcome::Done } else { Outcome::NotSo })
}
