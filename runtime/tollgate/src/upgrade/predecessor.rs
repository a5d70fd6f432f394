//! The successor's side: tells its predecessor how it fares, and waits to be given the node.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::bail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{READY, TAKEN, YOURS};

/// Who started this process to be replaced by it.
pub struct Predecessor {
    channel: UnixStream,
}

impl Predecessor {
    /// The channel is this process's standard input.
    pub fn from_standard_input() -> io::Result<Predecessor> {
        let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Of any other descriptor this fails: somebody typed the hidden option.
        channel.peer_addr()?;
        channel.set_nonblocking(true)?;
        Ok(Predecessor { channel })
    }

    /// Why there is no successor. To be called last before the end.
    pub fn complain(&self, reason: &str) {
        // Without a predecessor that listens there is nobody to tell.
        let _ = (&self.channel).write_all(reason.as_bytes());
    }

    /// Tells that this process serves, and waits until the node is its own.
    ///
    /// # Errors
    /// The predecessor has gone, or does not want this successor.
    pub async fn hand_over(&self) -> anyhow::Result<()> {
        let mut channel = self.channel()?;
        channel.write_all(READY.as_bytes()).await?;
        let mut word = [0; YOURS.len()];
        match channel.read_exact(&mut word).await {
            Ok(_) if word == YOURS.as_bytes() => Ok(()),
            _ => bail!("the predecessor has gone, or wants no successor any more"),
        }
    }

    /// Tells that it has taken the node.
    pub async fn taken(&self) {
        if let Ok(mut channel) = self.channel() {
            let _ = channel.write_all(TAKEN.as_bytes()).await;
        }
    }

    fn channel(&self) -> io::Result<tokio::net::UnixStream> {
        tokio::net::UnixStream::from_std(self.channel.try_clone()?)
    }
}
