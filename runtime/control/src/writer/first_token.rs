//! The token that a new cluster begins with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tollgate_model::Kind;
use tollgate_store::database::Filter;

use super::{Draft, Plan, WriteError, Writer};
use crate::configuration::{Role, TokenBody};

#[derive(Debug, thiserror::Error)]
pub enum FirstTokenError {
    #[error("{path} can't be written: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("the first token can't be made: {0}")]
    Write(#[from] WriteError),
}

/// Where there is no token at all, makes one for admins, `admin`, and writes it to `file`, which only its owner may
/// read. True if it did. Several nodes may start at once: one of them makes it.
///
/// The file is there before the token is: a node that ends in between leaves one that lets nobody in, and the next
/// start replaces it.
pub async fn first_token(writer: &Writer, file: &Path) -> Result<bool, FirstTokenError> {
    if !writer.feed().known().tokens.is_empty() {
        return Ok(false);
    }
    let (token, prefix) = tollgate_keys::generate_token();
    let plan = First { token: &token, prefix };
    let origin = writer.origin("local", "first start");
    if !writer.write_only(&origin, true, &plan).await?.outcome {
        return Ok(false);
    }
    save(file, &token).map_err(|error| FirstTokenError::File { path: file.to_owned(), error })?;
    match writer.write_only(&origin, false, &plan).await {
        Ok(written) if written.outcome => {
            // Whoever reads the file is let in.
            let _ = writer.feed().catch_up().await;
            Ok(true)
        }
        // Another node was faster.
        Ok(_) => {
            let _ = fs::remove_file(file);
            Ok(false)
        }
        Err(error) => {
            // Of a commit whose answer was lost nobody knows; then the file may be the only copy.
            if !matches!(error, WriteError::Away(_)) {
                let _ = fs::remove_file(file);
            }
            Err(error.into())
        }
    }
}

struct First<'a> {
    token: &'a SecretString,
    prefix: String,
}

impl Plan for First<'_> {
    type Outcome = bool;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<bool, WriteError> {
        if !draft.rows(Kind::Token, &Filter { limit: 1, ..Filter::default() }).await?.is_empty() {
            return Ok(false);
        }
        let fingerprint = draft.vault().pepper().hash_token(self.token.expose_secret().as_bytes()).to_hex();
        let body = TokenBody { role: Role::Admin, prefix: self.prefix.clone(), expires_at: None };
        let body = serde_json::to_value(body).expect("a role, a text and a number are JSON");
        draft.put(Kind::Token, "admin", Vec::new(), body, None, Some(fingerprint));
        Ok(true)
    }
}

/// A new file and not the old one: its mode may have been another.
fn save(file: &Path, token: &SecretString) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{}", token.expose_secret())?;
    file.sync_all()
}
