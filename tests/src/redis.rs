//! The real Redis: one server, with sentinels, as a cluster.

mod cluster;
mod sentinels;

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::Ran;
use crate::{Authority, Process, eventually};
pub use cluster::RedisCluster;
pub use sentinels::RedisSentinels;

/// A server in a folder of its own; both go with it.
#[derive(Debug)]
pub struct Redis {
    // Before the folder: fields are dropped in order.
    process: Process,
    folder: TempDir,
    pub address: SocketAddr,
    password: Option<String>,
    tls: bool,
}

/// A server that is to be started.
#[derive(Default)]
pub struct RedisSetup {
    lines: String,
    password: Option<String>,
    tls: Option<(Authority, bool)>,
    port: Option<u16>,
}

impl Redis {
    /// As anybody would start it, but that it keeps nothing.
    pub async fn start() -> Redis {
        Redis::set_up().start().await
    }

    pub fn set_up() -> RedisSetup {
        RedisSetup::default()
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis{}://{}", if self.tls { "s" } else { "" }, self.address)
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Where `ca.pem`, `client.pem` and `client.key` are, if it has TLS.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL, then waits until it is gone.
    pub async fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.ended(SOON).await;
    }

    /// It is there, and does nothing, until [`Redis::go_on`].
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Once it was killed: as before, at the same port.
    pub async fn restart(&mut self) {
        self.process = launch(self.folder.path(), &[]);
        self.ready().await;
    }

    /// What `redis-cli` prints.
    pub async fn cli(&self, arguments: &[&str]) -> String {
        let port = self.address.port().to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &port]).args(arguments).stdin(std::process::Stdio::null());
        if self.tls {
            command.arg("--tls").current_dir(self.folder.path());
            command.args(["--cacert", "ca.pem", "--cert", "client.pem", "--key", "client.key"]);
        }
        if let Some(password) = &self.password {
            command.env("REDISCLI_AUTH", password);
        }
        tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running a program does not panic").stdout
    }

    async fn ready(&mut self) {
        eventually(SOON, async || {
            let log = self.process.log();
            assert!(self.process.exited().is_none(), "redis-server ended at the start:\n{log}");
            let is_ready = ["Ready to accept connections", "Sentinel ID is"].iter().any(|line| log.contains(line));
            if is_ready { Ok(()) } else { Err(log) }
        })
        .await;
    }
}

impl RedisSetup {
    /// Of the user `default`.
    pub fn password(mut self, password: &str) -> RedisSetup {
        self.password = Some(password.to_owned());
        self.line(&format!("requirepass {password}")).line(&format!("masterauth {password}"))
    }

    /// A line of `redis.conf`.
    pub fn line(mut self, line: &str) -> RedisSetup {
        writeln!(self.lines, "{line}").expect("a string takes all");
        self
    }

    /// TLS only, with a certificate for 127.0.0.1 by this authority; `clients`: they have to show one of it.
    pub fn tls(mut self, authority: Authority, clients: bool) -> RedisSetup {
        self.tls = Some((authority, clients));
        self
    }

    fn port(mut self, port: u16) -> RedisSetup {
        self.port = Some(port);
        self
    }

    pub async fn start(self) -> Redis {
        self.launch(&[]).await
    }

    async fn launch(self, arguments: &[&str]) -> Redis {
        let folder = tempfile::Builder::new().prefix("tollgate-redis-").tempdir().expect("a temporary folder");
        let port = self.port.unwrap_or_else(free_port);
        let place = folder.path().display();
        let listen = match &self.tls {
            None => format!("port {port}\n"),
            Some((authority, clients)) => {
                authority.issue("127.0.0.1").write(folder.path(), "server");
                authority.issue("client.test").write(folder.path(), "client");
                std::fs::write(folder.path().join("ca.pem"), &authority.pem).expect("the folder is ours");
                format!(
                    "port 0\ntls-port {port}\ntls-cert-file {place}/server.pem\ntls-key-file {place}/server.key\n\
                     tls-ca-cert-file {place}/ca.pem\ntls-auth-clients {}\n",
                    if *clients { "yes" } else { "no" }
                )
            }
        };
        let text = format!("bind 127.0.0.1\n{listen}dir {place}\n{}", self.lines);
        let kept = "unixsocket redis.sock\nsave \"\"\nrepl-diskless-sync-delay 0\n";
        let text = if arguments.is_empty() { text + kept } else { text };
        std::fs::write(folder.path().join("redis.conf"), text).expect("the folder is ours");
        let process = launch(folder.path(), arguments);
        let address = ([127, 0, 0, 1], port).into();
        let mut redis = Redis { process, folder, address, password: self.password, tls: self.tls.is_some() };
        redis.ready().await;
        redis
    }
}

fn launch(folder: &Path, arguments: &[&str]) -> Process {
    let mut command = Command::new("redis-server");
    command.arg("redis.conf").args(arguments).current_dir(folder);
    Process::start(command, folder.join("output.log"))
}

/// Redis does not tell which port the system chose, and a test restarts it at the same one: so it is none of those that
/// the system gives to whoever connects.
fn free_port() -> u16 {
    loop {
        let port = 10_000 + u16::try_from(RandomState::new().hash_one(()) % 20_000).expect("below 20000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

const SOON: Duration = Duration::from_secs(30);
