use clap::CommandFactory;
use clap_complete::Shell;

use super::Outcome;
use super::api::say;
use crate::cli::Cli;

pub fn run(shell: Shell) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
