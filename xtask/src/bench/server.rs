//! A server under test or beside it: pinned to its cores, its output in a file, ended when dropped.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::client::Connection;
use super::keys::Key;
use super::rig::pinned;
use crate::process::{self, POLL};

/// A thousand keys to hash, plugins to compile, a hundred thousand routes to read: all of that is quick, but for valgrind.
const UP_WITHIN: Duration = Duration::from_secs(120);
/// Draining included; under valgrind everything takes fifty times as long.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

pub struct Server {
    child: Child,
    pub port: u16,
    /// What the server printed.
    pub log: PathBuf,
}

impl Server {
    /// Starts a command on some cores and waits until it listens.
    pub fn start(name: &str, cores: &str, port: u16, folder: &Path, command: &Command) -> Result<Self> {
        let log = folder.join("output.log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut pinned = pinned(cores, command);
        pinned.stderr(output.try_clone()?).stdout(output);
        let child = pinned.spawn().with_context(|| format!("cannot start `{}`", process::shown(&pinned)))?;
        let mut server = Server { child, port, log };
        server.wait_until_up(name)?;
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the gateway says at its status listener that it serves: it listens before, while it compiles.
    pub fn wait_until_ready(&mut self, name: &str, status: u16, key: &Key) -> Result<()> {
        let deadline = Instant::now() + UP_WITHIN;
        let is_ready = || Connection::open(status)?.get("/status/ready", key);
        while !matches!(is_ready(), Ok(200)) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended ({status}) instead of serving; see {}", self.log.display());
            }
            ensure!(Instant::now() < deadline, "{name} is not ready after {UP_WITHIN:?}; see {}", self.log.display());
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Ends the server and waits for what it writes at its end.
    pub fn stop(mut self) -> Result<()> {
        process::stop(&mut self.child, ENDS_WITHIN).map(drop)
    }

    fn wait_until_up(&mut self, name: &str) -> Result<()> {
        let deadline = Instant::now() + UP_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended ({status}) instead of serving; see {}", self.log.display());
            }
            if Instant::now() > deadline {
                bail!("{name} does not listen on port {} after {UP_WITHIN:?}; see {}", self.port, self.log.display());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = process::stop(&mut self.child, Duration::from_secs(6));
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
