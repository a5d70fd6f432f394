//! `test`: everything the tests need, then all of them.

use anyhow::Result;

use crate::build_plugins;
use crate::prepare::{self, Consent};
use crate::process;
use crate::progress::Steps;
use crate::workspace::{Package, Workspace};

pub fn run(workspace: &Workspace, consent: Consent, filter: Option<&str>) -> Result<()> {
    let mut steps = Steps::start();
    let outcome = build(workspace, consent, &mut steps)
        .and_then(|()| steps.step("run the tests", || process::run(workspace.compile("test").args(filter))));
    steps.summary();
    outcome
}

/// Leaves the plugins in target/plugins, the guests in target/guests and the gateway in target/debug, where the
/// tests look for them.
pub fn build(workspace: &Workspace, consent: Consent, steps: &mut Steps) -> Result<()> {
    let programs = [prepare::CURL, prepare::NGINX, prepare::OPENSSL, prepare::H2LOAD];
    let toolchain = steps.step("prepare", || prepare::prepare(workspace, consent, &programs))?;
    let plugins: Vec<&Package> = workspace.plugins().collect();
    let folder = build_plugins::plugin_folder(workspace);
    steps.step("build the plugins", || build_plugins::build(workspace, &toolchain, &plugins, &folder))?;
    let arguments = ["--bin", "tollgate", "--tests"];
    steps.step("build the gateway and the tests", || process::run(workspace.compile("build").args(arguments)))
}
