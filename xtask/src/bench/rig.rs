//! Where everything lies, and how a server is started on its cores.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::contender::{Contender, OURS_CHAIN, Ports, UPSTREAM};
use super::keys::{self, Key};
use super::server::Server;
use crate::process;
use crate::workspace::Workspace;

/// The start that compiles.
const FIRST: Contender = OURS_CHAIN.named("first start");

/// Files and programs of one run.
pub struct Rig {
    /// Templates of the peers' configurations.
    pub peers: PathBuf,
    /// What this run writes: configurations, logs.
    folder: PathBuf,
    pub plugins: PathBuf,
    pub gateway: PathBuf,
    pub pingora: PathBuf,
    /// Where cargo leaves what ships and what measures it.
    programs: PathBuf,
    pub keys: Vec<Key>,
    pub workspace: Workspace,
}

impl Rig {
    pub fn new(workspace: Workspace) -> Result<Self> {
        let folder = workspace.target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Rig {
            peers: workspace.root.join("benches/peers"),
            plugins: folder.join("plugins"),
            folder,
            gateway: workspace.gateway("dist"),
            pingora: pingora_target(&workspace).join("release/pingora-proxy-peer"),
            programs: workspace.target.join("dist"),
            keys: keys::thousand(),
            workspace,
        })
    }

    /// A program of the benches crate.
    pub fn bench_program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Starts the service behind every gateway, beside the load.
    pub fn start_upstream(&self, cores: &Cores) -> Result<Server> {
        let ports = Ports::choose(0)?;
        let folder = self.fresh_folder("upstream")?;
        let command = UPSTREAM.command(self, ports, &folder)?;
        Server::start("upstream", &cores.load, ports.clients, &folder, &command)
    }

    /// Starts a contender on its cores, in an empty folder of its own.
    pub fn start(&self, contender: &Contender, cores: &Cores, upstream: &Server) -> Result<Server> {
        let ports = Ports::choose(upstream.port)?;
        let folder = self.fresh_folder(contender.name)?;
        let command = contender.command(self, ports, &folder)?;
        let mut server = Server::start(contender.name, &cores.gateway, ports.clients, &folder, &command)?;
        if contender.is_ours() {
            server.wait_until_ready(contender.name, ports.status, &self.keys[0])?;
        }
        Ok(server)
    }

    /// Starts the gateway once, so that its plugins are compiled, and keeps their code: what is measured is a node that
    /// starts again, not the compiler.
    pub fn compile_plugins(&self) -> Result<()> {
        let cores = Cores::for_workers(1);
        let upstream = self.start_upstream(&cores)?;
        self.start(&FIRST, &cores, &upstream)?.stop()
    }

    /// Puts the code that [`Self::compile_plugins`] kept into a gateway's cache.
    pub fn lend_compiled_plugins(&self, cache: &Path) -> Result<()> {
        let kept = self.folder_of(FIRST.name).join("data/compiled");
        if kept == *cache || !kept.is_dir() {
            return Ok(());
        }
        // Code in a folder that others may write is not taken.
        DirBuilder::new().recursive(true).mode(0o700).create(cache).context("cannot make a code cache")?;
        for entry in fs::read_dir(&kept)? {
            let file = entry?.path();
            fs::copy(&file, cache.join(file.file_name().unwrap_or_default())).context("cannot fill a code cache")?;
        }
        Ok(())
    }

    /// An empty folder for one run of one server.
    pub fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder_of(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// The folder that a server of this name runs in.
    pub fn folder_of(&self, name: &str) -> PathBuf {
        self.folder.join(name.replace([' ', '+', ',', '/'], "-"))
    }
}

/// Which cores the gateway has, and which the upstream and the load share; in the words of `taskset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    pub gateway: String,
    pub load: String,
    /// Those of both.
    pub all: Vec<usize>,
}

impl Cores {
    /// For a gateway of so many workers. With fewer than twice as many cores all share all: CPU time a request still
    /// tells, rates and latencies do not.
    pub fn for_workers(workers: usize) -> Self {
        Self::of(workers, std::thread::available_parallelism().map_or(1, usize::from))
    }

    fn of(workers: usize, cores: usize) -> Self {
        let range =
            |from: usize, to: usize| if from + 1 == to { from.to_string() } else { format!("{from}-{}", to - 1) };
        if cores < 2 * workers {
            let all = range(0, cores.min(workers));
            return Cores { gateway: all.clone(), load: all, all: (0..cores.min(workers)).collect() };
        }
        Cores { gateway: range(0, workers), load: range(workers, 2 * workers), all: (0..2 * workers).collect() }
    }
}

/// The same command, on these cores only.
pub fn pinned(cores: &str, command: &Command) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", cores]).arg(command.get_program()).args(command.get_args());
    pinned
}

/// The packages of everything that is measured and measures. Cargo compiles a dependency once for each set of features
/// that the chosen packages want of it: chosen together, they share all of them, and the gateway is built as it ships.
pub const MEASURED: [&str; 4] = ["-p", "tollgate", "-p", "tollgate-benches"];

/// Compiles the gateway, the programs that measure and the yardstick, as the gateway ships.
pub fn build_programs(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["build", "--profile", "dist"]).args(MEASURED).arg("--bins"))
}

/// Compiles pingora, in a workspace and a target folder of its own.
pub fn build_pingora(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--release", "--locked", "--manifest-path"]);
    command.arg(workspace.root.join("benches/peers/pingora/Cargo.toml"));
    command.arg("--target-dir").arg(pingora_target(workspace));
    process::run(&mut command)
}

fn pingora_target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("pingora")
}

pub fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_has_cores_of_its_own_where_there_are_enough() {
        let cores = |workers, cores| Cores::of(workers, cores);
        assert_eq!(cores(1, 2), Cores { gateway: "0".into(), load: "1".into(), all: vec![0, 1] });
        assert_eq!(cores(2, 8), Cores { gateway: "0-1".into(), load: "2-3".into(), all: vec![0, 1, 2, 3] });
        assert_eq!(cores(2, 2), Cores { gateway: "0-1".into(), load: "0-1".into(), all: vec![0, 1] });
    }
}
