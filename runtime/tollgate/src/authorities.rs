//! The authorities that client certificates have to come from: read again when their file changes. What
//! can't be used is reported, and the last good ones stay.

use std::path::PathBuf;

use tollgate_proxy::TlsServer;
use tollgate_store::Watched;

pub struct ClientAuthorities {
    file: PathBuf,
    server: TlsServer,
    /// Digest of what was read last; `None`: it could not be read.
    seen: Option<[u8; 32]>,
    problem: Option<String>,
}

impl ClientAuthorities {
    /// Of a server that was just made from this file.
    pub fn new(file: PathBuf, server: TlsServer) -> ClientAuthorities {
        // Not read here: it may have changed since the server was made. The first look tells.
        ClientAuthorities { file, server, seen: None, problem: None }
    }

    pub fn watched(&self) -> Watched {
        Watched::File(self.file.clone())
    }

    /// Why the file can't be used as it is.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Reads the file again. True if it was another one.
    pub fn refresh(&mut self) -> bool {
        let read = std::fs::read(&self.file).map_err(|error| format!("it can't be read: {error}"));
        let seen = read.as_ref().ok().map(|bytes| *blake3::hash(bytes).as_bytes());
        if self.seen == seen && (seen.is_some() || self.problem.is_some()) {
            return false;
        }
        self.seen = seen;
        let trusted = read.and_then(|bytes| self.server.trust(bytes).map_err(|error| error.to_string()));
        let file = self.file.display();
        self.problem = trusted.err().map(|problem| format!("{file}: {problem}; the last good ones are trusted"));
        match &self.problem {
            None => tracing::info!(%file, "authorities of client certificates loaded"),
            Some(problem) => tracing::error!(problem, "authorities of client certificates can't be used"),
        }
        true
    }
}
