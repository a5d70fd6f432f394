//! The running node's side: starts the successor, hears how it fares, gives it the node or ends it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use command_fds::{CommandFdExt, FdMapping};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::shortfall::{Shortfall, VARIABLE};
use super::{READY, TAKEN, YOURS};
use crate::inherited::FIRST;
use crate::listeners::Estate;

/// The arguments that a successor is started with.
pub struct Launch(pub Vec<OsString>);

/// A process that is to take over. Ended when dropped before it did.
pub struct Successor {
    child: Option<Child>,
    id: u32,
    channel: tokio::net::UnixStream,
}

impl Launch {
    /// Starts the binary as this node's successor, which may lack no more than the `shortfall`, if there is one.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(&self, binary: &Path, estate: &Estate, shortfall: Option<&Shortfall>) -> anyhow::Result<Successor> {
        let sockets = estate.copies()?;
        let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = std::process::Command::new(binary);
        command
            .args(&self.0)
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            // Its process id is not known before it is there.
            .env_remove("LISTEN_PID")
            .env_remove("WATCHDOG_PID")
            .env_remove(VARIABLE)
            .envs(shortfall.map(Shortfall::variable))
            .stdin(Stdio::from(OwnedFd::from(theirs)));
        let mappings = sockets.into_iter().enumerate();
        let mappings =
            mappings.map(|(index, (_, parent_fd))| FdMapping { parent_fd, child_fd: (FIRST + index) as i32 });
        command.fd_mappings(mappings.collect())?;
        let child = Command::from(command).spawn().with_context(|| format!("{} can't be started", binary.display()))?;
        let id = child.id().context("it ended at once")?;
        Ok(Successor { child: Some(child), id, channel: tokio::net::UnixStream::from_std(ours)? })
    }
}

impl Successor {
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// It does not within `patience`, or ended; with its own words, if it said why.
    pub async fn ready(&mut self, patience: Duration) -> anyhow::Result<()> {
        let mut said = Vec::new();
        let heard = heard(&mut self.channel, &mut said);
        match timeout(patience, heard).await {
            Ok(Ok(true)) => Ok(()),
            Ok(_) => {
                let ended = self.ended().await;
                let said = String::from_utf8_lossy(&said);
                bail!("the new process ended before it was ready ({ended})\n{}", said.trim_end());
            }
            Err(_) => bail!("the new process was not ready within {patience:?}, and was ended"),
        }
    }

    /// Gives it the node, and waits until it has it.
    ///
    /// # Errors
    /// It has ended.
    pub async fn give(mut self) -> anyhow::Result<()> {
        let word = async {
            self.channel.write_all(YOURS.as_bytes()).await?;
            let mut word = [0; TAKEN.len()];
            self.channel.read_exact(&mut word).await
        };
        let taken = timeout(TAKING, word).await;
        if !matches!(taken, Ok(Ok(_))) {
            let ended = self.ended().await;
            bail!("the new process did not take over ({ended})");
        }
        // From here on it is nobody's child.
        self.child.take();
        Ok(())
    }

    /// How it ended; one that lingers is ended.
    async fn ended(&mut self) -> String {
        let Some(mut child) = self.child.take() else { return String::new() };
        let status = match timeout(LINGERING, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                let _ = child.start_kill();
                child.wait().await
            }
        };
        status.map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

/// Whether the word came. Anything else is a complaint, which its end ends.
pub(super) async fn heard(mut channel: impl AsyncRead + Unpin, said: &mut Vec<u8>) -> io::Result<bool> {
    while !said.starts_with(READY.as_bytes()) && said.len() < LONGEST_COMPLAINT {
        if channel.read_buf(said).await? == 0 {
            return Ok(false);
        }
    }
    Ok(said.starts_with(READY.as_bytes()))
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It has gone already, or it goes now; tokio collects what is left of it.
            let _ = child.start_kill();
        }
    }
}

const LONGEST_COMPLAINT: usize = 64 << 10;
const TAKING: Duration = Duration::from_secs(10);
const LINGERING: Duration = Duration::from_secs(2);
