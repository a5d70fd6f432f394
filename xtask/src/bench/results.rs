//! The results file: one section a case, each with its date and machine. A run replaces its own sections only.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;

use super::case::Case;

const PREAMBLE: &str = "\
# Results of `cargo xtask bench`

Read the ratios: absolute figures do not carry from one run or machine to another. A run replaces the sections of the
cases that it measured, and no other. The method is told in [README.md](README.md).
";

/// Puts these sections into the file, in the order of the cases.
pub fn write(file: &Path, sections: &[(Case, String)]) -> Result<()> {
    let old = fs::read_to_string(file).unwrap_or_default();
    fs::write(file, merged(&old, sections)).with_context(|| format!("cannot write {}", file.display()))
}

fn merged(old: &str, sections: &[(Case, String)]) -> String {
    let mut text = PREAMBLE.to_owned();
    for case in Case::value_variants() {
        let fresh = sections.iter().find(|(other, _)| other == case).map(|(_, text)| text.trim());
        if let Some(body) = fresh.or_else(|| section(old, &heading(*case))) {
            let _ = write!(text, "\n{}\n\n{body}\n", heading(*case));
        }
    }
    text
}

fn heading(case: Case) -> String {
    format!("## {} (`{}`)", case.title(), case.name())
}

/// What stands under a heading.
fn section<'a>(text: &'a str, heading: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("{heading}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_run_replaces_its_own_sections() {
        let first = merged("", &[(Case::Chain, "chain 1".into()), (Case::Bare, "bare 1\n\n| a |\n".into())]);
        let second = merged(&first, &[(Case::Chain, "chain 2".into()), (Case::Memory, "memory 2".into())]);
        assert!(second.starts_with(PREAMBLE));
        let bodies =
            second[PREAMBLE.len()..].split("\n## ").skip(1).map(|section| section.split_once("\n\n").unwrap().1);
        assert_eq!(bodies.map(str::trim).collect::<Vec<_>>(), ["bare 1\n\n| a |", "chain 2", "memory 2"]);
        assert_eq!(merged(&second, &[]), second, "nothing is lost or added");
    }
}
