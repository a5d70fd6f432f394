//! The successor's side: tells its predecessor how it fares, and waits to be given the node.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::bail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{READY, TAKEN, YOURS};

/// Who started this process to be replaced by it.
pub struct Predecessor {
    channel: UnixStream,
    /// Places that it can't serve itself; `None`: it does not mind.
    lacking: Option<Vec<String>>,
}

impl Predecessor {
    /// The channel is this process's standard input.
    pub fn from_standard_input() -> io::Result<Predecessor> {
        let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        // Of any other descriptor this fails: somebody typed the hidden option.
        channel.peer_addr()?;
        channel.set_read_timeout(Some(TELLING))?;
        let mut line = String::new();
        // Nothing comes behind the line before this process is ready.
        BufReader::new(&channel).read_line(&mut line)?;
        let lacking = serde_json::from_str(&line)?;
        channel.set_nonblocking(true)?;
        Ok(Predecessor { channel, lacking })
    }

    /// Whether this process may take over, of which these places can't be served, each with the reason.
    ///
    /// # Errors
    /// The predecessor serves some of them.
    pub fn suffices(&self, lacking: &[(String, String)]) -> anyhow::Result<()> {
        let Some(known) = &self.lacking else { return Ok(()) };
        let lost: Vec<_> = lacking.iter().filter(|(place, _)| !known.contains(place)).collect();
        let Some((place, reason)) = lost.first() else { return Ok(()) };
        let more = match lost.len() {
            1 => String::new(),
            all => format!(", and {} more", all - 1),
        };
        bail!(
            "what the running node serves could not be served any more: {place} ({reason}){more}; `tollgate validate` \
             tells all of it. Mend that, or do without it by --allow-degraded"
        );
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

/// What the predecessor tells as soon as it has started this process.
const TELLING: Duration = Duration::from_secs(10);
