use super::Outcome;
use super::api::{Api, query};
use super::changes;
use super::files::Files;
use crate::cli::ApplyArgs;

/// The whole in one revision, or nothing of it.
pub fn run(args: &ApplyArgs) -> anyhow::Result<Outcome> {
    let api = Api::open(&args.api)?;
    let files = Files::read(&args.files.files)?;
    let mut parameters = api.writing(&args.write);
    if args.files.no_prune {
        parameters.push(("prune", "false".to_owned()));
    }
    let answer = api.post(&query("/config", parameters), files.tree()).map_err(|error| files.placed(error))?;
    let told = answer.json()?;
    api.show(&told, || changes::rendered(&told))?;
    Ok(answer.outcome())
}
