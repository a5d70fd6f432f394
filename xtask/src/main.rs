//! The project's chores, run as `cargo xtask <verb>`: one file a verb.
//!
//! A verb first says what it is about to do, above all before it installs anything, and every
//! failure says what to do next. Nothing is ever installed through `sudo`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program talks to its user")]
#![allow(clippy::disallowed_methods, reason = "the environment and the exit code are this program's interface")]

mod bench;
mod build_plugins;
mod demo_upstream;
mod dist;
mod fuzz;
mod prove;
mod run;
mod test;
mod tidy;

mod apt;
mod gateway;
mod prepare;
mod process;
mod progress;
mod quickstart;
mod schemathesis;
mod toolchain;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::prepare::Consent;
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Help that was asked for, or what is wrong with the arguments; a verb that there is not is answered with those
/// that there are.
fn explain(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    if error.kind() == ErrorKind::InvalidSubcommand {
        eprintln!("\nverbs: {}", verbs().join(", "));
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn verbs() -> Vec<String> {
    Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's chores")]
struct Cli {
    /// Install nothing: stop and list what would be installed.
    #[arg(long, global = true)]
    no_install: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build everything, start a demo upstream and the gateway on a copy of examples/quickstart.
    Run {
        /// Where the demo service listens, if its usual port is taken.
        #[arg(long, default_value_t = quickstart::UPSTREAM_PORT, value_parser = clap::value_parser!(u16).range(1..))]
        upstream_port: u16,
    },
    /// Run the tests, long proofs scaled down.
    Test {
        /// Run only the tests whose name contains this.
        filter: Option<String>,
    },
    /// Run the long proofs at full size and print a table of what they showed.
    Prove {
        /// Run only the proofs whose name contains this (the bench is left out then).
        filter: Option<String>,
    },
    /// Compile the plugins to WebAssembly.
    BuildPlugins {
        /// Where the modules go; those of tests always go to target/guests.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Modules to build, for instance `key-auth`; all of them by default.
        names: Vec<String>,
    },
    /// Measure the gateway beside its peers on this machine; writes benches/RESULTS.md.
    Bench(bench::Options),
    /// Throw made-up bytes at every parser, each for a while; installs cargo-fuzz if it is missing.
    Fuzz(fuzz::Options),
    /// Check the habits that no compiler checks: arrows, file sizes, names, paths, sleeps in tests.
    Tidy,
    /// Build what ships: the optimised binary and the plugins, as one archive under target/dist.
    Dist,
    /// Serve the demo upstream alone.
    DemoUpstream {
        #[arg(long, default_value_t = quickstart::UPSTREAM_PORT)]
        port: u16,
    },
}

fn dispatch(cli: Cli) -> Result<()> {
    let consent = if cli.no_install { Consent::Refused } else { Consent::Given };
    if let Verb::DemoUpstream { port } = cli.verb {
        return demo_upstream::serve_forever(port);
    }
    let workspace = Workspace::load()?;
    match cli.verb {
        Verb::Run { upstream_port } => run::run(&workspace, consent, upstream_port),
        Verb::Test { filter } => test::run(&workspace, consent, filter.as_deref()),
        Verb::Prove { filter } => prove::run(&workspace, consent, filter.as_deref()),
        Verb::BuildPlugins { out, names } => build_plugins::run(&workspace, consent, out, &names),
        Verb::Bench(options) => bench::run(workspace, consent, &options).map(drop),
        Verb::Fuzz(options) => fuzz::run(&workspace, consent, &options),
        Verb::Tidy => tidy::run(&workspace),
        Verb::Dist => dist::run(&workspace, consent),
        Verb::DemoUpstream { .. } => unreachable!("handled above: it needs no workspace"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_what_one_types() {
        let error = |line: &[&str]| Cli::try_parse_from(line).map(drop).unwrap_err();
        let unknown = error(&["xtask", "tset"]);
        assert_eq!(unknown.kind(), ErrorKind::InvalidSubcommand);
        assert!(unknown.to_string().contains("Usage: cargo xtask "), "{unknown}");
        let help = error(&["xtask", "build-plugins", "--help"]).to_string();
        assert!(help.contains("Usage: cargo xtask build-plugins "), "{help}");
        assert!(verbs().contains(&"build-plugins".to_owned()));
    }
}
