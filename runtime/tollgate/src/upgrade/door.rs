//! The Unix socket in the data folder where a running node is asked to make place.
//!
//! A socket and not a signal with a pid file: a pid can be somebody else's by now, and a socket can
//! answer. Only its own user and root may open it (mode 0600), and who connects is checked again.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Asks for a successor.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Absolute.
    pub binary: PathBuf,
    /// How long the successor may take until it serves.
    pub timeout: Duration,
    /// It may serve less than the running node.
    #[serde(default)]
    pub allow_degraded: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The process with this id serves now.
    Replaced(u32),
    /// The node that was asked goes on serving.
    Kept(String),
}

/// Where requests come in.
pub struct Door {
    listener: UnixListener,
}

/// Somebody who has asked, and waits.
pub struct Visitor(UnixStream);

/// Asks the node of this data folder; blocks until it answers.
///
/// # Errors
/// No node answers there.
pub fn ask(data: &Path, request: &Request) -> anyhow::Result<Answer> {
    let path = data.join(NAME);
    let mut stream = std::os::unix::net::UnixStream::connect(&path)
        .with_context(|| format!("no node answers at {}: is it running, with this configuration?", path.display()))?;
    stream.set_read_timeout(Some(request.timeout + ANSWER_MARGIN))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).context("the node does not listen")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).context("the node gives no answer; look into its log")?;
    if answer.is_empty() {
        bail!("the node ended, or was replaced, before it answered; look into its log");
    }
    serde_json::from_str(&answer).context("the node's answer makes no sense to this version")
}

impl Door {
    /// Opens it, in place of whatever stands there.
    pub fn open(data: &Path) -> io::Result<Door> {
        let path = data.join(NAME);
        let aside = data.join(format!("{NAME}.{}", std::process::id()));
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside)?;
        fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
        // In one step: who asks finds the old one or the new one.
        fs::rename(&aside, &path)?;
        Ok(Door { listener })
    }

    /// The next valid request.
    pub async fn asked(&self) -> (Visitor, Request) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match received(stream).await {
                    Ok(asked) => return asked,
                    Err(error) => tracing::warn!(error = format!("{error:#}"), "a request for an upgrade was refused"),
                },
                Err(error) => {
                    tracing::warn!(%error, "can't be asked for an upgrade");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Visitor {
    pub async fn answer(mut self, answer: &Answer) {
        let line = serde_json::to_string(answer).expect("plain data") + "\n";
        // Who asked may have gone.
        let _ = self.0.write_all(line.as_bytes()).await;
    }
}

async fn received(mut stream: UnixStream) -> anyhow::Result<(Visitor, Request)> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        bail!("user {peer} is neither the node's nor root");
    }
    let request = tokio::time::timeout(REQUEST_TIME, read(&mut stream)).await.context("nothing was asked")??;
    Ok((Visitor(stream), request))
}

/// The one line that a request is.
pub(super) async fn read(stream: impl AsyncRead + Unpin) -> anyhow::Result<Request> {
    let mut line = String::new();
    tokio::io::BufReader::new(stream).take(LONGEST_REQUEST).read_line(&mut line).await?;
    serde_json::from_str(&line).context("not a request")
}

const NAME: &str = "upgrade.sock";
pub(super) const LONGEST_REQUEST: u64 = 16 << 10;
const REQUEST_TIME: Duration = Duration::from_secs(2);
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);
/// Beyond the successor's time, for the rest of the way.
const ANSWER_MARGIN: Duration = Duration::from_secs(30);
