//! Schemathesis, which asks the admin API all that its OpenAPI document allows: a Python program, in a folder of
//! its own below `target`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::prepare::{self, Consent, Program};
use crate::process;
use crate::workspace::Workspace;

/// Of the system's own Python.
const VENV: Program = Program { name: "venv for Python", package: "python3-venv", is_there: has_venv };

fn has_venv() -> bool {
    process::output(Command::new("/usr/bin/python3").args(["-c", "import ensurepip, venv"])).is_ok()
}

/// Where tests look for it.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("peers/schemathesis")
}

/// Installs it if it is not there.
///
/// # Errors
/// Without consent, says what would be installed; otherwise what could not be.
pub fn prepare(workspace: &Workspace, consent: Consent) -> Result<()> {
    let folder = folder(workspace);
    let program = folder.join("bin/schemathesis");
    if process::output(Command::new(&program).arg("--version")).is_ok() {
        return Ok(());
    }
    if consent == Consent::Refused {
        bail!("--no-install was given, and Schemathesis would be installed with pip into {}", folder.display());
    }
    prepare::programs(consent, &[VENV])?;
    eprintln!("installing Schemathesis into {}", folder.display());
    process::run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    process::run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", VERSION]))
}

/// What it complains of changes from version to version.
const VERSION: &str = "schemathesis==4.32.5";
