mod api;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use tollgate_model::units::TimeSpan;

use crate::cmd::{self, Outcome};

pub use api::{
    ApiArgs, ApplyArgs, CacheVerb, ChainArgs, DiffArgs, ExplainArgs, ExportArgs, Format, HistoryArgs, KeyVerb,
    MembersArgs, Output, PluginVerb, Role, RollbackArgs, RoutesArgs, TokenVerb, Wait, WriteArgs,
};

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
    /// Replaces the running node by this program, without losing a request; the old process ends once
    /// what it accepted is served.
    Upgrade(UpgradeArgs),
    /// Checks both configuration files, and plugin settings against their modules, without serving.
    Validate(ValidateArgs),
    /// Makes a key for a cluster and prints it as a line of a key file.
    Keygen(KeygenArgs),
    /// Makes the configuration of a node with a database what files say, in one change.
    Apply(ApplyArgs),
    /// Shows what `apply` would change: ends with 0 if nothing, 1 if something, 2 and more if it can't tell.
    Diff(DiffArgs),
    /// Writes the configuration as a file has it, without secrets and keys.
    Export(ExportArgs),
    /// Lists the routes.
    Routes(RoutesArgs),
    /// Tells which route would serve a request and why, where it would go, and which plugins it would meet.
    Explain(ExplainArgs),
    /// Shows the plugins that the requests of a route meet.
    Chain(ChainArgs),
    /// What a node has of the configuration in memory.
    #[command(subcommand)]
    Cache(CacheVerb),
    /// Modules and plugins.
    #[command(subcommand)]
    Plugin(PluginVerb),
    /// Tokens of the admin API.
    #[command(subcommand)]
    Token(TokenVerb),
    /// API keys of consumers.
    #[command(subcommand)]
    Key(KeyVerb),
    /// Lists who changed what, newest first.
    Revisions(HistoryArgs),
    /// Makes everything as it was in a revision, as a new one.
    Rollback(RollbackArgs),
    /// As `revisions`, kept for longer, with the node that took the change.
    Audit(HistoryArgs),
    /// Lists the nodes that follow the database.
    Members(MembersArgs),
    /// Prints the completions of a shell.
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The node's file; paths in it start at its folder.
    #[arg(short, long, value_name = "FILE", default_value = "tollgate.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// Writes it to a new file that only its owner may read, instead of printing it.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Puts it in front of the keys that the file has: it is what seals from the next start on.
    #[arg(long, requires = "file")]
    pub add: bool,
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
    /// Started by the node that it replaces: its sockets are passed on, standard input leads to it.
    #[arg(long, hide = true)]
    pub successor: bool,
}

#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// Of the running node: it is found by the data folder that this file names.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The program that takes over, if not this one.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// How long it may take until it serves; after that it is ended, and the node serves as before.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub timeout: Duration,
    /// Lets it take over although routes, services, consumers or certificates that the running node serves could not be
    /// served any more.
    #[arg(long)]
    pub allow_degraded: bool,
}

/// As in the configuration: a whole number with its unit.
fn time(text: &str) -> Result<Duration, String> {
    TimeSpan::parse(text).map(|TimeSpan(time)| time).map_err(|error| error.to_string())
}

impl Cli {
    pub fn run(self) -> anyhow::Result<Outcome> {
        match self.verb {
            Verb::Run(args) => cmd::run::run(&args).map(|()| Outcome::Done),
            Verb::Upgrade(args) => cmd::upgrade::run(&args).map(|()| Outcome::Done),
            Verb::Validate(args) => cmd::validate::run(&args).map(|()| Outcome::Done),
            Verb::Keygen(args) => cmd::keygen::run(&args).map(|()| Outcome::Done),
            Verb::Apply(args) => cmd::apply::run(&args),
            Verb::Diff(args) => cmd::diff::run(&args),
            Verb::Export(args) => cmd::export::run(&args),
            Verb::Routes(args) => cmd::routes::run(&args),
            Verb::Explain(args) => cmd::explain::run(&args),
            Verb::Chain(args) => cmd::chain::run(&args),
            Verb::Cache(verb) => cmd::cache::run(&verb),
            Verb::Plugin(verb) => cmd::plugin::run(&verb),
            Verb::Token(verb) => cmd::token::run(&verb),
            Verb::Key(verb) => cmd::key::run(&verb),
            Verb::Revisions(args) => cmd::revisions::run(&args),
            Verb::Rollback(args) => cmd::rollback::run(&args),
            Verb::Audit(args) => cmd::audit::run(&args),
            Verb::Members(args) => cmd::members::run(&args),
            Verb::Completions { shell } => cmd::completions::run(shell),
        }
    }
}
