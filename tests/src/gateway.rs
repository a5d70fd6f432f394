//! A running gateway.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::Ran;
use crate::{Call, Memory, Process, Reply, eventually, get, modules};

/// A gateway in a process and a folder of its own; both go with it. When the test fails, its log is
/// shown.
#[derive(Debug)]
pub struct Gateway {
    // Before the folder: fields are dropped in order.
    process: Process,
    folder: TempDir,
    environment: Vec<(String, String)>,
    /// Where clients connect.
    pub proxy: SocketAddr,
    /// Where they connect by TLS, if `[proxy.tls]` is there.
    pub tls: Option<SocketAddr>,
    pub admin: SocketAddr,
    pub status: SocketAddr,
}

impl Gateway {
    /// The folder holds `tollgate.toml` and what that names.
    pub(crate) async fn start(folder: TempDir, environment: Vec<(String, String)>) -> Gateway {
        let command = run_command(folder.path(), &environment);
        Gateway::start_by(folder, environment, command).await
    }

    /// Starts it by this command, which is or becomes `tollgate run`.
    pub(crate) async fn start_by(folder: TempDir, environment: Vec<(String, String)>, command: Command) -> Gateway {
        let mut process = Process::start(command, folder.path().join(LOG));
        let Reached { proxy, tls, admin, status } = reached(&mut process, folder.path()).await;
        Gateway { process, folder, environment, proxy, tls, admin, status }
    }

    /// Ends it, and starts it anew in the same folder, on new ports.
    pub async fn restart(&mut self) {
        self.terminate().await;
        fs::remove_file(self.path(ADDRESSES)).expect("it was written at the start");
        let command = run_command(self.folder.path(), &self.environment);
        self.process = Process::start(command, self.path(LOG));
        self.find().await;
    }

    /// `tollgate upgrade`, with more arguments; waits for its end.
    pub async fn try_upgrade(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(modules::gateway_binary());
        command.arg("upgrade").arg("-c").arg(self.path("tollgate.toml")).args(arguments).env("NO_COLOR", "1");
        tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running a program does not panic")
    }

    /// `tollgate upgrade`, which has to succeed. Returns the process that was replaced.
    pub async fn upgrade(&mut self) -> Process {
        self.upgrade_with(&[]).await
    }

    /// As [`Gateway::upgrade`], with more arguments.
    pub async fn upgrade_with(&mut self, arguments: &[&str]) -> Process {
        Process::adopt_orphans();
        let ran = self.try_upgrade(arguments).await;
        let id = ran.stdout.split(' ').find_map(|word| word.parse().ok());
        let id = id.unwrap_or_else(|| panic!("no process id: {ran:?}\n{}", self.log()));
        let successor = Process::adopt(id, self.process.log_path());
        let before = std::mem::replace(&mut self.process, successor);
        self.find().await;
        before
    }

    async fn find(&mut self) {
        let Reached { proxy, tls, admin, status } = reached(&mut self.process, self.folder.path()).await;
        (self.proxy, self.tls, self.admin, self.status) = (proxy, tls, admin, status);
    }

    /// Sends to the proxy, on a new connection.
    pub async fn send(&self, call: Call) -> Reply {
        call.send(self.proxy).await
    }

    /// `GET` on the proxy.
    pub async fn get(&self, target: &str) -> Reply {
        self.send(get(target)).await
    }

    /// `GET /status` on the status port.
    pub async fn status(&self) -> Value {
        get("/status").send(self.status).await.json()
    }

    /// A metric's samples added up, all labels together; `None` while there is none.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let reply = get("/metrics").send(self.status).await;
        let text = reply.text();
        let samples = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            (rest.starts_with(['{', ' '])).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        samples.fold(None, |sum, sample| Some(sum.unwrap_or_default() + sample))
    }

    /// Status of `GET /status/ready`; `None` when nobody listens.
    pub async fn ready(&self) -> Option<u16> {
        ready(self.status).await
    }

    /// Replaces `gateway.toml`, whole.
    pub fn write_config(&self, text: &str) {
        self.replace("gateway.toml", text.as_bytes());
    }

    /// Replaces any file in the node's folder, whole.
    pub fn write_file(&self, name: &str, text: &str) {
        self.replace(name, text.as_bytes());
    }

    /// Replaces a module in the plugins folder, whole.
    pub fn write_module(&self, name: &str, bytes: &[u8]) {
        self.replace(&format!("plugins/{name}.wasm"), bytes);
    }

    /// Waits until `GET target` on the proxy answers as wanted.
    pub async fn answers(&self, target: &str, what: &str, mut wanted: impl FnMut(&Reply) -> bool) -> Reply {
        eventually(PATIENCE, async || {
            let reply = self.get(target).await;
            if wanted(&reply) { Ok(reply) } else { Err(format!("{what}; GET {target} answers {reply:?}")) }
        })
        .await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file below the node's data folder; empty while it is not there.
    pub fn data_file(&self, name: &str) -> String {
        fs::read_to_string(self.path("data").join(name)).unwrap_or_default()
    }

    /// What it has written so far. A thread of its own writes the log: wait for a line with [`Gateway::says`].
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for `text` in the log.
    pub async fn says(&self, text: &str) {
        eventually(PATIENCE, async || {
            if self.log().contains(text) { Ok(()) } else { Err(format!("the log does not say {text:?}")) }
        })
        .await;
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn memory(&self) -> Memory {
        self.process.memory()
    }

    /// What the kernel tells of the process under a name of `/proc/PID/status`.
    pub fn told(&self, name: &str) -> Option<String> {
        self.process.told(name)
    }

    pub fn descriptors(&self) -> usize {
        self.process.descriptors()
    }

    /// SIGTERM, then waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate(PATIENCE).await
    }

    fn replace(&self, name: &str, bytes: &[u8]) {
        let (path, aside) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, &path)).expect("the folder is ours");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let skipped = log.lines().count().saturating_sub(SHOWN_LINES);
            eprintln!("--- the gateway's log, without its first {skipped} lines");
            log.lines().skip(skipped).for_each(|line| eprintln!("{line}"));
            eprintln!("---");
        }
    }
}

/// `tollgate run` on this folder.
pub(crate) fn run_command(folder: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(modules::gateway_binary());
    command.arg("run").arg("-c").arg(folder.join("tollgate.toml"));
    command.arg("--addresses-file").arg(folder.join(ADDRESSES));
    command.env("NO_COLOR", "1").env_remove("TOLLGATE_LOG");
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Where it listens.
struct Reached {
    proxy: SocketAddr,
    tls: Option<SocketAddr>,
    admin: SocketAddr,
    status: SocketAddr,
}

/// Waits until it listens and is ready.
async fn reached(process: &mut Process, folder: &Path) -> Reached {
    let file = folder.join(ADDRESSES);
    let addresses = eventually(PATIENCE, async || {
        assert_alive(process);
        let text = fs::read(&file).map_err(|error| format!("{error}; the gateway's log:\n{}", process.log()))?;
        serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string())
    })
    .await;
    let [proxy, admin, status] = ["proxy", "admin", "status"].map(|listener| address(&addresses, listener));
    eventually(PATIENCE, async || {
        assert_alive(process);
        match ready(status).await {
            Some(200) => Ok(()),
            other => Err(format!("/status/ready answers {other:?}; the gateway's log:\n{}", process.log())),
        }
    })
    .await;
    let tls = addresses["tls"][0].as_str().map(|address| address.parse().expect("an address"));
    Reached { proxy, tls, admin, status }
}

fn assert_alive(process: &mut Process) {
    if let Some(status) = process.exited() {
        panic!("the gateway ended at the start, {status}:\n{}", process.log());
    }
}

async fn ready(status: SocketAddr) -> Option<u16> {
    get("/status/ready").try_send(status).await.ok().map(|reply| reply.status)
}

/// One address, or the first of several.
fn address(addresses: &Value, listener: &str) -> SocketAddr {
    let one = match &addresses[listener] {
        Value::Array(several) => several.first(),
        one => Some(one),
    };
    let parsed = one.and_then(Value::as_str).and_then(|text| text.parse().ok());
    parsed.unwrap_or_else(|| panic!("the addresses file has no address for `{listener}`: {addresses}"))
}

const ADDRESSES: &str = "addresses.json";
const LOG: &str = "gateway.log";
/// For what has no limit of its own, on a machine that is busy compiling.
const PATIENCE: Duration = Duration::from_secs(60);
const SHOWN_LINES: usize = 60;
