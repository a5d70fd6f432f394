//! `dist`: what a release consists of, in one archive.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::build_plugins;
use crate::prepare::{self, Consent};
use crate::process;
use crate::progress::Steps;
use crate::toolchain;
use crate::workspace::{Package, Workspace};

/// Files of the root that go along if they are there.
const PAPERS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE", "NOTICE"];

pub fn run(workspace: &Workspace, consent: Consent) -> Result<()> {
    let mut steps = Steps::start();
    let toolchain = steps.step("prepare", || prepare::prepare(workspace, consent, &[]))?;
    let name = release_name(workspace)?;
    let dist = workspace.target.join("dist");
    let folder = dist.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    let plugins: Vec<&Package> = workspace.plugins().filter(|package| package.folder.starts_with("plugins")).collect();
    let plugin_folder = folder.join("plugins");
    steps.step("build the plugins", || build_plugins::build(workspace, &toolchain, &plugins, &plugin_folder))?;
    steps.step("build the gateway", || build_gateway(workspace))?;
    steps.step("pack", || pack(workspace, &dist, &name))?;
    steps.summary();
    println!("{}", dist.join(format!("{name}.tar.gz")).display());
    Ok(())
}

/// Builds the gateway as it ships: with link-time optimisation.
fn build_gateway(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["build", "--profile", "dist", "-p", "tollgate"]))
}

/// For instance `tollgate-0.1.0-x86_64-unknown-linux-gnu`.
fn release_name(workspace: &Workspace) -> Result<String> {
    let version = &workspace.package("tollgate").context("the workspace has no package `tollgate`")?.version;
    Ok(format!("tollgate-{version}-{}", toolchain::host(workspace)?))
}

fn pack(workspace: &Workspace, dist: &Path, name: &str) -> Result<()> {
    let folder = dist.join(name);
    let copy = |from: &Path, to: &str| {
        fs::copy(from, folder.join(to)).map(drop).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&workspace.gateway("dist"), "tollgate")?;
    for paper in PAPERS.map(|paper| workspace.root.join(paper)).iter().filter(|file| file.is_file()) {
        copy(paper, &paper.file_name().context("a paper is a file")?.to_string_lossy())?;
    }
    // Owners of this machine mean nothing elsewhere.
    let mut tar = Command::new("tar");
    tar.current_dir(dist)
        .args(["--owner=0", "--group=0", "--sort=name", "-czf"])
        .arg(format!("{name}.tar.gz"))
        .arg(name);
    process::run(&mut tar)
}
