//! The real Postgres, one server a test.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::Ran;
use crate::{Process, eventually};

/// A server in a folder of its own; both go with it.
#[derive(Debug)]
pub struct Postgres {
    // Before the folder: fields are dropped in order.
    process: Process,
    folder: TempDir,
    pub address: SocketAddr,
    databases: AtomicU32,
}

impl Postgres {
    /// Empty, and trusting everybody on this machine.
    pub async fn start() -> Postgres {
        let folder = tempfile::Builder::new().prefix("tollgate-postgres-").tempdir().expect("a temporary folder");
        let owned = std::os::unix::fs::chown(folder.path(), user_id(), None);
        owned.expect("the tests run as root, as Postgres does not, or as a user whose server it can be");
        let data = folder.path().join("data");
        let mut initdb = as_owner(&program("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", "tollgate", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        let ran = tokio::task::spawn_blocking(move || Ran::of(initdb)).await.expect("running it does not panic");
        assert_eq!(ran.code, 0, "initdb: {}{}", ran.stdout, ran.stderr);
        let port = free_port();
        let process = launch(folder.path(), port);
        let address = ([127, 0, 0, 1], port).into();
        let mut postgres = Postgres { process, folder, address, databases: AtomicU32::new(0) };
        postgres.ready().await;
        postgres
    }

    /// The URL of a new, empty database.
    pub async fn database(&self) -> String {
        let name = format!("tollgate{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://tollgate@{}/{database}", self.address)
    }

    /// What `psql` prints for a statement; it has to succeed.
    pub async fn sql(&self, database: &str, statement: &str) -> String {
        let mut command = Command::new(program("psql"));
        let port = self.address.port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "tollgate", "-d", database, "-A", "-t", "-q"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-c", statement]);
        let ran = tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running it does not panic");
        assert_eq!(ran.code, 0, "{statement}: {}", ran.stderr);
        ran.stdout
    }

    /// All that is stored, as text.
    pub async fn dump(&self, database: &str) -> String {
        let mut command = Command::new(program("pg_dump"));
        let port = self.address.port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "tollgate", "-d", database]);
        let ran = tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running it does not panic");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    }

    /// The server is gone at once, as after a power failure.
    pub async fn kill(&mut self) {
        self.process.signal(Signal::QUIT);
        self.process.ended(SOON).await;
    }

    /// Once it was killed: with what it had, at the same port.
    pub async fn restart(&mut self) {
        self.process = launch(self.folder.path(), self.address.port());
        self.ready().await;
    }

    /// Once it was killed: keeps all that it has for [`Postgres::restore`].
    pub fn back_up(&self) {
        copy(&self.folder.path().join("data"), &self.folder.path().join("backup"));
    }

    /// Once it was killed: has what it had at the back-up.
    pub fn restore(&self) {
        let data = self.folder.path().join("data");
        std::fs::remove_dir_all(&data).expect("the folder is ours");
        copy(&self.folder.path().join("backup"), &data);
    }

    async fn ready(&mut self) {
        let address = self.address.port().to_string();
        eventually(SOON, async || {
            let log = self.process.log();
            assert!(self.process.exited().is_none(), "postgres ended at the start:\n{log}");
            let mut command = Command::new(program("pg_isready"));
            command.args(["-h", "127.0.0.1", "-p", &address]);
            let ran = tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running it does not panic");
            if ran.code == 0 { Ok(()) } else { Err(log) }
        })
        .await;
    }
}

fn launch(folder: &Path, port: u16) -> Process {
    let mut command = as_owner(&program("postgres"));
    command.arg("-D").arg(folder.join("data")).current_dir(folder);
    let port = format!("port={port}");
    let place = format!("unix_socket_directories={}", folder.display());
    for setting in [&port, &place, "listen_addresses=127.0.0.1", "fsync=off", "max_connections=200"] {
        command.args(["-c", setting]);
    }
    Process::start(command, folder.join("postgres.log"))
}

fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.arg("-a").arg(from).arg(to);
    let ran = Ran::of(command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// Postgres does not run as root.
fn as_owner(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let id = user_id().expect("root has another user to run it").to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program);
    command
}

/// Whom it runs as: somebody without any right.
fn user_id() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(NOBODY)
}

fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

/// The same at a restart.
fn free_port() -> u16 {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.expect("there are free ports").port()
}

const NOBODY: u32 = 65534;
const SOON: Duration = Duration::from_secs(60);
