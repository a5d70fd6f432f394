use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cmd;

/// An API gateway whose policies are WebAssembly plugins, swapped while traffic flows.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs a gateway node until it is told to stop (SIGTERM or Ctrl-C drain it first).
    Run(RunArgs),
    /// Checks both configuration files, and plugin settings against their modules, without serving.
    Validate(ValidateArgs),
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The node's file; paths in it start at its folder.
    #[arg(short, long, value_name = "FILE", default_value = "tollgate.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only warns of modules that are not in the plugins folder, as on a machine that serves nothing.
    #[arg(long)]
    pub allow_missing_modules: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Writes the addresses listened on to this file, as JSON, once all of them are open: for ports
    /// that the system chooses (port 0).
    #[arg(long, value_name = "FILE")]
    pub addresses_file: Option<PathBuf>,
}

impl Cli {
    pub fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::Run(args) => cmd::run::run(&args),
            Verb::Validate(args) => cmd::validate::run(&args),
        }
    }
}
