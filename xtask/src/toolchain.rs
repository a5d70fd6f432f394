//! The compiler for plugins: Rust for `wasm32-unknown-unknown`, in one of three ways.
//!
//! 1. The target is installed beside the active toolchain.
//! 2. `rustup target add` installs it.
//! 3. Debian's packaged rustc with its library sources: the standard library is then compiled here,
//!    and linked with the active toolchain's `rust-lld`, which every host toolchain carries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;
use crate::{apt, process};

pub const TARGET: &str = "wasm32-unknown-unknown";

/// The ways to get the toolchain, for messages.
pub const WAYS: &str = "    - `rustup target add wasm32-unknown-unknown`
    - on Debian, as root: `apt-get install -y --no-install-recommends rustc-web rust-web-src`
    - any other Rust of 1.85 or later with that target or with its library sources as /usr/bin/rustc";

/// The packages of the third way.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
/// Where Debian puts its compiler.
const PACKAGED_RUSTC: &str = "/usr/bin/rustc";
/// The oldest compiler that builds the plugin SDK.
const OLDEST: (u32, u32) = (1, 85);
/// For how long a failed `rustup target add` is not tried again: offline, it fails slowly.
const RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Guests link with a small stack: their memory shrinks from 17 pages to a few.
const RUSTFLAGS: &str = "-Clink-arg=-zstack-size=32768";

/// A way to compile plugins that works on this machine.
#[derive(Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The active toolchain has the target.
    Installed,
    /// A packaged compiler builds the standard library as well.
    Packaged { rustc: PathBuf, linker_folder: PathBuf },
}

impl Toolchain {
    /// `cargo build` for plugins, in a target folder of its own so that it never waits for the host's build.
    pub fn cargo_build(&self, workspace: &Workspace) -> Result<Command> {
        let mut command = workspace.cargo();
        command.args(["build", "--target", TARGET, "--profile", "plugin", "--target-dir"]);
        command.arg(target_folder(workspace));
        // RUSTFLAGS would lose against the encoded form.
        command.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", RUSTFLAGS);
        if let Toolchain::Packaged { rustc, linker_folder } = self {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = [linker_folder.clone()].into_iter().chain(std::env::split_paths(&path));
            command
                .args(["-Zbuild-std=std,panic_abort", "--ignore-rust-version"])
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("PATH", std::env::join_paths(folders).context("a folder on PATH has a colon in its name")?);
        }
        Ok(command)
    }

    /// The folder that [`Self::cargo_build`] leaves modules in.
    pub fn output(workspace: &Workspace) -> PathBuf {
        target_folder(workspace).join(TARGET).join("plugin")
    }
}

/// Looks for a toolchain without installing anything.
pub fn find(workspace: &Workspace) -> Result<Option<Toolchain>> {
    let active = Sysroot::active(workspace)?;
    if active.has_target() {
        return Ok(Some(Toolchain::Installed));
    }
    Ok(packaged(&active, workspace))
}

/// Installs a toolchain: first with rustup, then with apt. Announces each attempt.
///
/// # Errors
/// Names the three ways, after whatever the failed attempts said.
pub fn install(workspace: &Workspace) -> Result<Toolchain> {
    let active = Sysroot::active(workspace)?;
    let stamp = Stamp { file: target_folder(workspace).join("rustup-target-failed"), sysroot: &active.folder };
    if process::find("rustup").is_some() && !stamp.is_fresh() {
        eprintln!("installing the Rust target {TARGET} with rustup");
        let attempt = process::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(&workspace.root));
        if attempt.is_ok() && active.has_target() {
            return Ok(Toolchain::Installed);
        }
        eprintln!("rustup could not install it; the next way is a Debian package");
        stamp.leave()?;
    }
    let reason = match apt::install(&PACKAGES) {
        Ok(()) => match packaged(&active, workspace) {
            Some(toolchain) => return Ok(toolchain),
            None => format!("the packages are installed, but {PACKAGED_RUSTC} has no library sources"),
        },
        Err(error) => format!("{error:#}"),
    };
    bail!(
        "no compiler for {TARGET}: {reason}\nany of these helps:\n{WAYS}\n(rustup is asked again an hour after it failed, or once you delete {})",
        stamp.file.display()
    );
}

/// The triple of this machine, for instance `x86_64-unknown-linux-gnu`.
pub fn host(workspace: &Workspace) -> Result<String> {
    Ok(Sysroot::active(workspace)?.host)
}

/// Debian's compiler, if it is there with its sources and recent enough, and there is a linker for it.
fn packaged(active: &Sysroot, workspace: &Workspace) -> Option<Toolchain> {
    let rustc = PathBuf::from(PACKAGED_RUSTC);
    if !rustc.is_file() {
        return None;
    }
    let sysroot = Sysroot::of(&rustc, workspace).ok()?;
    let linker_folder = active.library(&active.host).join("bin");
    let sources = sysroot.folder.join("lib/rustlib/src/rust/library/std/Cargo.toml");
    let usable = sysroot.version >= OLDEST && sources.is_file() && linker_folder.join("rust-lld").is_file();
    usable.then_some(Toolchain::Packaged { rustc, linker_folder })
}

/// Plugins have a target folder of their own, kept between builds.
fn target_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("wasm")
}

/// What a compiler says about itself.
struct Sysroot {
    folder: PathBuf,
    /// The triple it runs on.
    host: String,
    version: (u32, u32),
}

impl Sysroot {
    fn active(workspace: &Workspace) -> Result<Self> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        Self::of(Path::new(&rustc), workspace)
    }

    /// Asks at the root, where rustup finds the toolchain that the workspace pins.
    fn of(rustc: &Path, workspace: &Workspace) -> Result<Self> {
        let ask =
            |arguments: &[&str]| process::output(Command::new(rustc).args(arguments).current_dir(&workspace.root));
        let folder = ask(&["--print", "sysroot"])?;
        let text = ask(&["--version", "--verbose"])?;
        Self::parse(&folder, &text).with_context(|| format!("cannot read what the compiler says about itself: {text}"))
    }

    fn parse(folder: &str, text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let mut release = field("release: ")?.split('.').map_while(|part| part.parse().ok());
        Some(Sysroot {
            folder: folder.trim().into(),
            host: field("host: ")?.to_owned(),
            version: (release.next()?, release.next()?),
        })
    }

    fn has_target(&self) -> bool {
        self.library(TARGET).join("lib").is_dir()
    }

    /// What belongs to one triple, host or target.
    fn library(&self, triple: &str) -> PathBuf {
        self.folder.join("lib/rustlib").join(triple)
    }
}

/// Remembers that rustup failed for a toolchain, for a while.
struct Stamp<'a> {
    file: PathBuf,
    sysroot: &'a Path,
}

impl Stamp<'_> {
    fn is_fresh(&self) -> bool {
        let written = std::fs::metadata(&self.file).and_then(|meta| meta.modified());
        let about = std::fs::read_to_string(&self.file).unwrap_or_default();
        written.is_ok_and(|at| at.elapsed().unwrap_or_default() < RETRY_AFTER)
            && Path::new(about.trim()) == self.sysroot
    }

    fn leave(&self) -> Result<()> {
        let folder = self.file.parent().context("a stamp lies in a folder")?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&self.file, self.sysroot.as_os_str().as_encoded_bytes()))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_compiler_says() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                    release: 1.96.0\nLLVM version: 21.1.8\n";
        let sysroot = Sysroot::parse("/usr\n", text).unwrap();
        assert_eq!(sysroot.version, (1, 96));
        assert_eq!(sysroot.library(&sysroot.host), Path::new("/usr/lib/rustlib/x86_64-unknown-linux-gnu"));
        assert!(Sysroot::parse("/usr\n", "rustc 1.96.0").is_none());
    }

    #[test]
    fn a_failure_is_remembered_for_that_toolchain_only() {
        let folder = std::env::temp_dir().join(format!("tollgate-stamp-{}", std::process::id()));
        let stamp = Stamp { file: folder.join("stamp"), sysroot: Path::new("/toolchain/a") };
        assert!(!stamp.is_fresh());
        stamp.leave().unwrap();
        assert!(stamp.is_fresh());
        assert!(!Stamp { file: folder.join("stamp"), sysroot: Path::new("/toolchain/b") }.is_fresh());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
