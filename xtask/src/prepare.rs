//! What a verb needs beyond Rust, and getting it: everything missing is listed before anything is installed.

use anyhow::{Result, bail};

use crate::toolchain::{self, Toolchain};
use crate::workspace::Workspace;
use crate::{apt, process};

/// Whether the user lets us install what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    Given,
    /// `--no-install`
    Refused,
}

/// Something on this machine that a Debian package brings.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// What it is called on the terminal.
    pub name: &'static str,
    pub package: &'static str,
    pub is_there: fn() -> bool,
}

pub const CURL: Program = Program { name: "curl", package: "curl", is_there: || process::find("curl").is_some() };
pub const OPENSSL: Program =
    Program { name: "openssl", package: "openssl", is_there: || process::find("openssl").is_some() };
pub const H2LOAD: Program =
    Program { name: "h2load", package: "nghttp2-client", is_there: || process::find("h2load").is_some() };

pub const NGHTTP: Program =
    Program { name: "nghttp", package: "nghttp2-client", is_there: || process::find("nghttp").is_some() };
pub const SLOWHTTPTEST: Program =
    Program { name: "slowhttptest", package: "slowhttptest", is_there: || process::find("slowhttptest").is_some() };
pub const SSLSCAN: Program =
    Program { name: "sslscan", package: "sslscan", is_there: || process::find("sslscan").is_some() };

/// `redis-cli` comes with it.
pub const REDIS: Program =
    Program { name: "redis-server", package: "redis-server", is_there: || process::find("redis-server").is_some() };

/// Debian puts the server's programs below a folder of its version.
pub const POSTGRES: Program = Program { name: "PostgreSQL", package: "postgresql", is_there: postgres_is_there };

fn postgres_is_there() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/initdb")).any(|program| program.is_file())
        || process::find("initdb").is_some()
}

/// Of the system's own Python, whatever other there is.
pub const PYTHON_GRPC: Program =
    Program { name: "grpc for Python", package: "python3-grpcio", is_there: python_has_grpc };

fn python_has_grpc() -> bool {
    process::output(std::process::Command::new("/usr/bin/python3").args(["-c", "import grpc"])).is_ok()
}

pub const NGINX: Program = Program { name: "nginx", package: "nginx-light", is_there: nginx_is_there };

/// Debian's is not on every user's path.
fn nginx_is_there() -> bool {
    process::find("nginx").is_some() || std::path::Path::new("/usr/sbin/nginx").is_file()
}

/// Installs what is missing of the programs and of the WebAssembly toolchain, and returns the latter.
///
/// # Errors
/// Without consent, lists what would be installed. Otherwise says what could not be installed and what to do.
pub fn prepare(workspace: &Workspace, consent: Consent, programs: &[Program]) -> Result<Toolchain> {
    let found = toolchain::find(workspace)?;
    if consent == Consent::Refused {
        refuse(found.is_none(), &missing(programs))?;
    }
    install(&missing(programs))?;
    match found {
        Some(toolchain) => Ok(toolchain),
        None => toolchain::install(workspace),
    }
}

/// Installs what is missing of the programs.
///
/// # Errors
/// As [`prepare`].
pub fn programs(consent: Consent, programs: &[Program]) -> Result<()> {
    if consent == Consent::Refused {
        refuse(false, &missing(programs))?;
    }
    install(&missing(programs))
}

fn missing(programs: &[Program]) -> Vec<&Program> {
    programs.iter().filter(|program| !(program.is_there)()).collect()
}

/// Some programs come in one package.
fn packages(programs: &[&Program]) -> Vec<&'static str> {
    let mut packages: Vec<_> = programs.iter().map(|program| program.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn install(missing: &[&Program]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
    eprintln!("missing on this machine: {}", names.join(", "));
    apt::install(&packages(missing))
}

fn refuse(wasm: bool, programs: &[&Program]) -> Result<()> {
    let mut list = Vec::new();
    if wasm {
        list.push(format!("  the wasm32 toolchain:\n{}", toolchain::WAYS));
    }
    for program in programs {
        list.push(format!("  {}: `{}`", program.name, apt::command_line(&[program.package])));
    }
    if !list.is_empty() {
        bail!("--no-install was given, and these would be installed:\n{}", list.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_lists_everything_that_is_missing() {
        let nginx = Program { name: "nginx", package: "nginx-light", is_there: || false };
        let text = refuse(true, &[&nginx]).unwrap_err().to_string();
        assert!(text.contains("apt-get install -y --no-install-recommends nginx-light"), "{text}");
        assert!(text.contains("rustup target add wasm32-unknown-unknown"), "{text}");
        assert!(refuse(false, &[]).is_ok());
    }

    #[test]
    fn a_package_of_two_programs_is_named_once() {
        assert_eq!(packages(&[&H2LOAD, &CURL, &NGHTTP]), ["curl", "nghttp2-client"]);
    }
}
