//! Installing Debian packages: announced, and only as root.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// The command that a reader can type to install these packages.
pub fn command_line(packages: &[&str]) -> String {
    format!("apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Whether this system installs packages with apt at all.
pub fn is_available() -> bool {
    process::find("apt-get").is_some()
}

/// Installs packages.
///
/// # Errors
/// Names the command to run by hand if this system has no apt, this user may not use it, or it fails.
pub fn install(packages: &[&str]) -> Result<()> {
    let line = command_line(packages);
    if !is_available() {
        bail!("this system has no apt-get: install the equivalent of `{line}` by hand, then start again");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("installing packages needs root, and sudo is yours to use; run this, then start again:\n  sudo {line}");
    }
    eprintln!("installing Debian packages: {}", packages.join(", "));
    let known = packages.iter().all(|package| is_known(package));
    if !known {
        process::run(apt_get().arg("update"))?;
    }
    let arguments = line.split(' ').skip(1);
    match process::run(apt_get().args(arguments.clone())) {
        // Known but gone from the mirror: the lists are old.
        Err(_) if known => {
            process::run(apt_get().arg("update"))?;
            process::run(apt_get().args(arguments))
        }
        outcome => outcome,
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Whether the package lists on this machine name the package.
fn is_known(package: &str) -> bool {
    process::output(Command::new("apt-cache").args(["show", "--no-all-versions", package])).is_ok()
}
