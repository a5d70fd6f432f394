//! The verbs of the command line, one a file, and how each of them ends.

pub mod keygen;
pub mod run;
pub mod upgrade;
pub mod validate;

// What asks a node's admin API.
mod api;
mod changes;
mod files;
pub mod apply;
pub mod diff;
pub mod export;
pub mod routes;
pub mod explain;
pub mod chain;
pub mod cache;
pub mod plugin;
pub mod token;
pub mod key;
pub mod revisions;
pub mod rollback;
pub mod audit;
pub mod members;
pub mod completions;

use std::process::ExitCode;

use tollgate_store::ConfigReport;

pub use self::api::Failure;
use self::diff::Incomparable;

/// How a verb ends that nothing stood in the way of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// There is a difference, no route, a node that is behind: what was asked is not so.
    NotSo,
}

impl Outcome {
    pub fn exit_code(self) -> ExitCode {
        match self {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::NotSo => ExitCode::from(1),
        }
    }
}

/// Documented in docs/cli.md.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>().map_or(1, Failure::exit_code) {
        // 1 is a difference.
        1 if error.is::<Incomparable>() => 2,
        code => code,
    }
}

/// A configuration that is not valid, on its way to the terminal.
#[derive(Debug)]
pub struct Invalid(pub ConfigReport);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.summary())
    }
}

impl std::error::Error for Invalid {}

/// Several of them, of as many files.
#[derive(Debug)]
pub struct InvalidFiles(pub Vec<ConfigReport>);

impl std::fmt::Display for InvalidFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let summaries: Vec<String> = self.0.iter().map(ConfigReport::summary).collect();
        f.write_str(&summaries.join("; "))
    }
}

impl std::error::Error for InvalidFiles {}

/// Tells the person at the terminal what went wrong: a configuration report with every place in the
/// file, anything else with its causes.
#[allow(clippy::print_stderr, reason = "this is the command line's own voice")]
pub fn complain(error: &anyhow::Error) {
    if let Some(Invalid(report)) = error.downcast_ref::<Invalid>() {
        show(report);
    } else if let Some(InvalidFiles(reports)) = error.downcast_ref::<InvalidFiles>() {
        reports.iter().for_each(show);
    } else if let Some(failure) = error.downcast_ref::<Failure>() {
        eprintln!("error: {failure}");
        if let Some(hint) = failure.hint() {
            eprintln!("help: {hint}");
        }
    } else {
        eprintln!("error: {error:#}");
    }
}

#[allow(clippy::print_stderr, reason = "this is the command line's own voice")]
fn show(report: &ConfigReport) {
    if let Some(headline) = report.headline() {
        eprintln!("{headline}\n");
    }
    report.shown().for_each(|finding| eprintln!("{:?}", miette::Report::new(finding)));
}

/// The same as plain text, for who is not at this terminal.
pub fn in_plain_text(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Invalid>() {
        Some(Invalid(report)) => report.render_plain(),
        None => format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_code() {
        let refused = || anyhow::Error::from(Failure::refused("no"));
        assert_eq!(code(&refused()), 1);
        assert_eq!(code(&refused().context(Incomparable)), 2);
        assert_eq!(code(&Failure::usage("what?").into()), 2);
        let away = || anyhow::Error::from(Failure::unreachable("away"));
        assert_eq!((code(&away()), code(&away().context(Incomparable))), (3, 3));
        assert_eq!(code(&Failure::not_allowed("no token").into()), 4);
        assert_eq!(code(&anyhow::anyhow!("anything else")), 1);
    }
}
