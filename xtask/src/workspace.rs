//! What `cargo metadata` says about this workspace, as far as the chores need it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::process;

/// The workspace: its root, its target folder and its members.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub root: PathBuf,
    /// The target folder that cargo uses, usually `<root>/target`.
    pub target: PathBuf,
    pub packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Clone)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Relative to the root, for instance `plugins/key-auth`.
    pub folder: PathBuf,
    /// The library's name, if it is built as a `cdylib`: that makes the package a plugin.
    pub cdylib: Option<String>,
    pub dependencies: Vec<Dependency>,
}

/// One direct dependency of a member.
#[derive(Debug, Clone)]
pub struct Dependency {
    pub name: String,
    pub kind: DependencyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyKind {
    Normal,
    Build,
    Dev,
}

impl Workspace {
    /// Asks cargo, about the workspace that this program was compiled in.
    pub fn load() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = cargo();
        command.current_dir(here).args(["metadata", "--format-version", "1", "--no-deps"]);
        let text = process::output(&mut command)?;
        let metadata: Metadata = serde_json::from_str(&text).context("`cargo metadata` printed something else")?;
        let packages = metadata.packages.into_iter().map(|raw| raw.cut(&metadata.workspace_root)).collect();
        Ok(Workspace { root: metadata.workspace_root, target: metadata.target_directory, packages })
    }

    /// A cargo command that runs at the root.
    pub fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// A cargo verb that compiles what is run and tested: everything but the benches.
    ///
    /// Cargo compiles a dependency once for each set of features that the chosen packages want of it. All verbs
    /// choose the same packages, so `run` and `test` share every dependency; the benches' own would spoil that.
    pub fn compile(&self, verb: &str) -> Command {
        let mut command = self.cargo();
        command.args([verb, "--workspace", "--exclude", "tollgate-benches"]);
        command
    }

    /// The gateway's binary of cargo's `profile` folder (`debug` for the dev profile).
    pub fn gateway(&self, profile: &str) -> PathBuf {
        self.target.join(profile).join("tollgate")
    }

    /// The members that compile to plugin modules.
    pub fn plugins(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.cdylib.is_some())
    }

    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    /// The name of the module that a plugin package builds, for instance `key-auth`.
    pub fn module(&self) -> &str {
        self.name.strip_prefix("tollgate-plugin-").unwrap_or(&self.name)
    }

    /// Whether this plugin exists for tests or benches only.
    pub fn is_guest(&self) -> bool {
        self.folder.starts_with("tests/guests") || self.folder.starts_with("benches")
    }
}

/// The cargo that runs this program, else the one on PATH.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<RawTarget>,
    dependencies: Vec<RawDependency>,
}

#[derive(Deserialize)]
struct RawTarget {
    name: String,
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct RawDependency {
    name: String,
    kind: Option<String>,
}

impl RawPackage {
    fn cut(self, root: &Path) -> Package {
        let folder = self.manifest_path.parent().and_then(|folder| folder.strip_prefix(root).ok());
        let is_cdylib = |target: &&RawTarget| target.crate_types.iter().any(|kind| kind == "cdylib");
        Package {
            folder: folder.map(Path::to_path_buf).unwrap_or_default(),
            cdylib: self.targets.iter().find(is_cdylib).map(|target| target.name.replace('-', "_")),
            dependencies: self.dependencies.into_iter().map(RawDependency::cut).collect(),
            name: self.name,
            version: self.version,
        }
    }
}

impl RawDependency {
    fn cut(self) -> Dependency {
        let kind = match self.kind.as_deref() {
            Some("dev") => DependencyKind::Dev,
            Some("build") => DependencyKind::Build,
            _ => DependencyKind::Normal,
        };
        Dependency { name: self.name, kind }
    }
}
