//! The gateway's program: one verb a file in `cmd`, the node's own file in `config`, and the place
//! where everything is put together, `node`. A library only so that the fuzzer reaches what reads bytes.

mod authorities;
mod certificates;
mod cli;
mod cluster;
mod cmd;
mod config;
mod control;
mod credentials;
mod descriptors;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod inherited;
mod listeners;
mod log_output;
mod modules;
mod node;
mod reconciler;
mod settings_report;
mod settled;
mod signals;
mod state;
mod supervisor;
mod upgrade;
mod view;

use std::process::ExitCode;

use clap::Parser;

/// All of the program: the command line, and what it asks for.
pub fn run() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => {
            cmd::complain(&error);
            cmd::exit_code(&error)
        }
    }
}
