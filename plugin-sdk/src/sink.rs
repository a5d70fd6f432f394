use std::fmt;

use crate::Problem;
use crate::host::sink as host;

/// Where a plugin's output goes. Writes are queued and never wait.
#[derive(Clone, Copy, Debug)]
pub struct Sink(host::SinkId);

impl Sink {
    /// Appends to a file; a relative path starts at the node's data folder. Needs
    /// [`Capability::Files`](crate::Capability) and a grant for that path. In `configure` only,
    /// traps otherwise.
    ///
    /// # Errors
    /// Not granted, or the file can't be opened.
    pub fn file(path: &str) -> Result<Self, Problem> {
        Self::open(&format!("file:{path}"))
    }

    /// The gateway's standard output. Needs [`Capability::StandardOutput`](crate::Capability). In
    /// `configure` only, traps otherwise.
    ///
    /// # Errors
    /// Not granted.
    pub fn standard_output() -> Result<Self, Problem> {
        Self::open("stdout:")
    }

    fn open(target: &str) -> Result<Self, Problem> {
        host::open(target).map(Self).map_err(|message| Problem::at("", message))
    }

    /// Appends the bytes as they are, whole.
    ///
    /// # Errors
    /// The queue is full; the gateway counted the loss.
    pub fn write(self, bytes: impl AsRef<[u8]>) -> Result<(), Dropped> {
        if host::write(self.0, bytes.as_ref()) { Ok(()) } else { Err(Dropped) }
    }
}

/// The sink's queue was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sink's queue is full")
    }
}

impl std::error::Error for Dropped {}
