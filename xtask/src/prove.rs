//! `prove`: the long proofs at full size, and what each of them showed.
//!
//! A proof is a test that prints `PROOF <issue>.<point> | <what> | <figure>`; the points are those under
//! "Must be shown" of the issues. The same tests run scaled down in `test`.

use anyhow::{Result, bail};

use crate::bench;
use crate::prepare::Consent;
use crate::process;
use crate::progress::Steps;
use crate::schemathesis;
use crate::test;
use crate::workspace::Workspace;

pub fn run(workspace: &Workspace, consent: Consent, filter: Option<&str>) -> Result<()> {
    let mut steps = Steps::start();
    let mut report = Report::default();
    steps.step("prepare Schemathesis", || schemathesis::prepare(workspace, consent))?;
    test::build(workspace, consent, &mut steps)?;
    steps.step("run the proofs", || run_proofs(workspace, filter, &mut report))?;
    if filter.is_none() {
        match steps.step("measure", || bench::run(workspace.clone(), consent, &bench::Options::default())) {
            Ok(proofs) => report.proofs.extend(proofs.iter().filter_map(|line| Proof::parse(line))),
            Err(error) => report.failures.push(format!("bench: {error:#}")),
        }
    }
    steps.summary();
    println!("\n{}", report.table());
    report.verdict()
}

/// Runs the end-to-end tests one after another, so that no proof disturbs another's figures.
fn run_proofs(workspace: &Workspace, filter: Option<&str>, report: &mut Report) -> Result<()> {
    let mut command = workspace.compile("test");
    command.args(["--test", "e2e"]).args(filter);
    command.args(["--", "--include-ignored", "--nocapture", "--test-threads=1"]);
    command.env("TOLLGATE_PROVE", "1");
    let status = process::follow(&mut command, |line| report.read(line))?;
    if !status.success() {
        report.failures.push(format!("`{}` failed ({status})", process::shown(&command)));
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Report {
    proofs: Vec<Proof>,
    failures: Vec<String>,
}

impl Report {
    fn read(&mut self, line: &str) {
        if let Some(proof) = Proof::parse(line) {
            self.proofs.push(proof);
        }
    }

    fn table(&self) -> String {
        let mut proofs: Vec<&Proof> = self.proofs.iter().collect();
        proofs.sort_by_key(|proof| proof.point);
        let width = proofs.iter().map(|proof| proof.what.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for Proof { point: (issue, point), what, figure } in proofs {
            lines.push(format!("{:<6} {what:<width$}  {figure}", format!("{issue}.{point}")));
        }
        lines.extend(self.failures.iter().map(|failure| format!("FAILED {failure}")));
        lines.join("\n")
    }

    fn verdict(&self) -> Result<()> {
        if !self.failures.is_empty() {
            bail!("not everything was shown; the output above says what failed");
        }
        if self.proofs.is_empty() {
            bail!("no proof ran: no test printed a PROOF line, is the filter right?");
        }
        Ok(())
    }
}

/// One figure for one point.
#[derive(Debug, PartialEq, Eq)]
struct Proof {
    /// Issue and point, which sort as numbers.
    point: (u32, u32),
    what: String,
    figure: String,
}

impl Proof {
    /// Reads a PROOF line; the test harness may have printed something before it on the same line.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("PROOF ")?;
        let mut parts = rest.splitn(3, " | ").map(str::trim);
        let (issue, point) = parts.next()?.split_once('.')?;
        let point = (issue.parse().ok()?, point.parse().ok()?);
        Some(Proof { point, what: parts.next()?.to_owned(), figure: parts.next()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_sorted_as_numbers_and_failures_fail() {
        let mut report = Report::default();
        report.read("test swaps ... PROOF 2.10 | later | 7 MiB");
        report.read("PROOF 2.2 | 1,000 swaps | 0 failed | 0 closed");
        report.read("PROOF of nothing");
        report.read("test other ... ok");
        let table = report.table();
        assert_eq!(table, "2.2    1,000 swaps  0 failed | 0 closed\n2.10   later        7 MiB");
        assert!(report.verdict().is_ok());
        report.failures.push("x".into());
        assert!(report.verdict().is_err());
    }

    #[test]
    fn no_proof_is_no_success() {
        assert!(Report::default().verdict().is_err());
    }
}
