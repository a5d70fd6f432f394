//! `fuzz`: throws made-up bytes at every parser of ours, each for a while, and tells which fell over.
//!
//! The targets are the files of `fuzz/targets`, what must hold stands in the crates themselves (`fuzzing.rs`), the
//! inputs that each starts from in `fuzz/seeds`. No sanitizer: the targets have no `unsafe` of ours to watch, and without
//! one the toolchain that builds the gateway builds the targets.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::prepare::{self, Consent, Program};
use crate::process;
use crate::progress::Steps;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Options {
    /// The target, for instance `path`; all of them by default.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub fn run(workspace: &Workspace, consent: Consent, options: &Options) -> Result<()> {
    let targets = chosen(all(&workspace.root.join("fuzz/targets"))?, options.target.as_deref())?;
    let mut steps = Steps::start();
    steps.step("prepare", || prepare_tools(workspace, consent))?;
    steps.step("build the targets", || process::run(cargo_fuzz(workspace, "build").args(options.target.as_deref())))?;
    let mut fell = Vec::new();
    for target in &targets {
        if steps.step(&format!("fuzz {target}"), || fuzz(workspace, target, options.seconds)).is_err() {
            fell.push(target.as_str());
        }
    }
    steps.summary();
    if fell.is_empty() {
        println!("\nnone of {} targets fell over in {} s each", targets.len(), options.seconds);
        return Ok(());
    }
    bail!(
        "{} fell over; the output above says how, the input is in fuzz/artifacts/<target>. Mend it, and keep the input \
         in fuzz/seeds/<target>: the tests then try it every day",
        fell.join(", ")
    )
}

fn fuzz(workspace: &Workspace, target: &str, seconds: u32) -> Result<()> {
    let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
    fs::create_dir_all(workspace.root.join(&corpus)).with_context(|| format!("cannot make {corpus}"))?;
    let mut command = cargo_fuzz(workspace, "run");
    command.args([target, &corpus, &seeds, "--"]);
    command.arg(format!("-max_total_time={seconds}"));
    process::run(command.args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1"]))
}

fn cargo_fuzz(workspace: &Workspace, verb: &str) -> Command {
    let mut command = workspace.cargo();
    // Our dependencies are not what is tested: with the default of one unit they take very long to compile.
    command.args(["fuzz", verb, "--fuzz-dir", "fuzz", "--sanitizer", "none", "--codegen-units", "16"]);
    command
}

/// The names of the targets, in order.
fn all(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        targets.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}

fn chosen(targets: Vec<String>, wanted: Option<&str>) -> Result<Vec<String>> {
    let Some(wanted) = wanted else { return Ok(targets) };
    ensure!(
        targets.iter().any(|target| target == wanted),
        "there is no target `{wanted}`; there are {}",
        targets.join(", ")
    );
    Ok(vec![wanted.to_owned()])
}

fn prepare_tools(workspace: &Workspace, consent: Consent) -> Result<()> {
    let installed = process::output(workspace.cargo().args(["fuzz", "--version"])).is_ok();
    let install = ["install", "cargo-fuzz", "--locked"];
    if !installed && consent == Consent::Refused {
        bail!("--no-install was given, and this would be installed:\n  cargo-fuzz: `cargo {}`", install.join(" "));
    }
    prepare::programs(consent, &[CXX])?;
    if !installed {
        eprintln!("missing on this machine: cargo-fuzz, which builds and runs the targets");
        process::run(workspace.cargo().args(install))?;
    }
    Ok(())
}

/// For the fuzzing engine, libFuzzer.
const CXX: Program = Program { name: "g++", package: "g++", is_there: || process::find("c++").is_some() };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_built_and_has_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the root");
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        for target in all(&root.join("fuzz/targets")).unwrap() {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not in fuzz/Cargo.toml");
            let seeds = fs::read_dir(root.join("fuzz/seeds").join(&target));
            assert!(seeds.is_ok_and(|mut seeds| seeds.next().is_some()), "{target} has no seeds");
        }
    }

    #[test]
    fn a_target_that_is_not_there_is_named() {
        let targets = vec!["path".to_owned(), "router".to_owned()];
        assert_eq!(chosen(targets.clone(), Some("router")).unwrap(), ["router"]);
        let error = chosen(targets, Some("ruter")).unwrap_err().to_string();
        assert!(error.contains("ruter") && error.contains("path, router"), "{error}");
    }
}
