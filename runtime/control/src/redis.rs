//! How a Redis is reached, in all its forms: one server, Sentinel, Cluster; TCP, TLS, a Unix socket; passwords and
//! ACL users.
//!
//! Nothing here knows what Redis is used for. The bus is the first to use it; when the rate limiter counts in Redis
//! too, this module moves into a crate of its own, which both depend on.
//!
//! Redis 6 or newer is needed: connections speak RESP3, so that messages and answers share one connection.
//!
//! Invariants
//! - No failure and no `Debug` output shows a password.
//! - No answer is waited for longer than [`RedisOptions::timeout`], no connection longer than
//!   [`RedisOptions::connect_timeout`].

mod cluster;
mod connection;
mod failure;
mod locator;
mod sentinel;
mod tls;
mod url;

pub use connection::{Connection, OnPush};
pub use failure::RedisFailure;
pub use locator::Locator;
pub use tls::{ClientIdentity, RedisTls};
pub use url::{RedisUrl, UrlFault};

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Where a Redis is and how to be let in.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    pub servers: Servers,
    /// `None`: plaintext. For sentinels too.
    pub tls: Option<RedisTls>,
    /// For the servers that hold data.
    pub login: Option<Login>,
    pub sentinel_login: Option<Login>,
    /// 0 in a cluster.
    pub database: u32,
    /// From looking up the name to being let in. Default 1 s.
    pub connect_timeout: Duration,
    /// Of an answer. Default 2 s.
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    Standalone(Address),
    Sentinel {
        /// At least one.
        sentinels: Vec<Address>,
        /// What they call the master.
        master: String,
    },
    /// Some of its nodes, at least one: they know the others.
    Cluster(Vec<Address>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp {
        /// An IPv6 address without brackets.
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

#[derive(Clone, Debug)]
pub struct Login {
    /// `None`: the user `default`.
    pub username: Option<String>,
    pub password: SecretString,
}

/// Which form a Redis has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisKind {
    Standalone,
    Sentinel,
    Cluster,
}

impl RedisOptions {
    /// What the URL says, and defaults.
    pub fn of(url: RedisUrl) -> RedisOptions {
        RedisOptions {
            servers: url.servers,
            tls: url.tls.then(RedisTls::default),
            login: url.login,
            sentinel_login: None,
            database: url.database,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
        }
    }

    pub fn kind(&self) -> RedisKind {
        match self.servers {
            Servers::Standalone(_) => RedisKind::Standalone,
            Servers::Sentinel { .. } => RedisKind::Sentinel,
            Servers::Cluster(_) => RedisKind::Cluster,
        }
    }
}

/// `host:port`, or the path of the socket.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}
