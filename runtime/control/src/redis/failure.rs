//! What goes wrong with a Redis, in words without secrets.

use std::path::PathBuf;

use redis::{ErrorKind, RedisError};
use secrecy::ExposeSecret;

use super::{Address, RedisOptions};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisFailure {
    /// It could not be reached, did not answer in time, or the connection broke.
    #[error("{server}: {reason}")]
    Away { server: Address, reason: String },
    /// It answered, and will not do it.
    #[error("{server}: {reason}")]
    Refused { server: Address, reason: String },
    #[error("{server} is a replica, so what is published there reaches few")]
    Replica { server: Address },
    /// Another server has taken over.
    #[error("{server} is no longer the one to talk to")]
    Moved { server: Address },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no sentinel knows a master `{0}`")]
    UnknownMaster(String),
}

impl RedisFailure {
    /// What the library reports of a server.
    pub(super) fn of(error: &RedisError, server: &Address, options: &RedisOptions) -> RedisFailure {
        let server = server.clone();
        let is_refused = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        let reason = match error.kind() {
            _ if error.is_timeout() => "no answer in time".to_owned(),
            _ if error.is_connection_refusal() => "nobody listens there".to_owned(),
            ErrorKind::RESP3NotSupported => "it does not speak RESP3; Redis 6 or newer is needed".to_owned(),
            ErrorKind::Server(_) | ErrorKind::Extension => {
                let (code, detail) = (error.code().unwrap_or("ERR"), error.detail().unwrap_or_default());
                harmless(&format!("{code} {detail}"), options)
            }
            _ if error.is_connection_dropped() => "the connection broke".to_owned(),
            _ => harmless(&error.to_string(), options),
        };
        if is_refused { RedisFailure::Refused { server, reason } } else { RedisFailure::Away { server, reason } }
    }

    pub(super) fn of_files(error: &RedisError) -> RedisFailure {
        RedisFailure::Tls(tame(&error.to_string()))
    }
}

/// A server may repeat in its error what it was sent.
fn harmless(text: &str, options: &RedisOptions) -> String {
    let logins = options.login.iter().chain(&options.sentinel_login);
    let hidden = logins.fold(text.to_owned(), |text, login| match login.password.expose_secret() {
        "" => text,
        password => text.replace(password, "[hidden]"),
    });
    tame(&hidden)
}

/// One line that is not too long.
fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

const LONGEST: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::RedisUrl;

    #[test]
    fn a_server_that_repeats_the_password_does_not_show_it() {
        let options = RedisOptions::of(RedisUrl::parse("redis://u:hunter2@h").unwrap());
        let told = "unknown command `HELLO`, with args beginning with: `3`,\r\n`AUTH` `u` `hunter2`".to_owned();
        let error = RedisError::from((ErrorKind::Client, "it said", told));
        let server = Address::Tcp { host: "h".to_owned(), port: 1 };
        let shown = RedisFailure::of(&error, &server, &options).to_string();
        assert!(shown.starts_with("h:1: it said") && shown.contains("[hidden]"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains('\n'), "{shown}");
    }
}
