//! The verbs of the command line.

pub mod keygen;
pub mod run;
pub mod upgrade;
pub mod validate;

use tollgate_store::ConfigReport;

/// A configuration that is not valid, on its way to the terminal.
#[derive(Debug)]
pub struct Invalid(pub ConfigReport);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.summary())
    }
}

impl std::error::Error for Invalid {}

/// Tells the person at the terminal what went wrong: a configuration report with every place in the
/// file, anything else with its causes.
#[allow(clippy::print_stderr, reason = "this is the command line's own voice")]
pub fn complain(error: &anyhow::Error) {
    match error.downcast_ref::<Invalid>() {
        Some(Invalid(report)) => {
            if let Some(headline) = report.headline() {
                eprintln!("{headline}\n");
            }
            report.shown().for_each(|finding| eprintln!("{:?}", miette::Report::new(finding)));
        }
        None => eprintln!("error: {error:#}"),
    }
}

/// The same as plain text, for who is not at this terminal.
pub fn explain(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Invalid>() {
        Some(Invalid(report)) => report.render_plain(),
        None => format!("{error:#}"),
    }
}
