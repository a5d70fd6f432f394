use std::time::Duration;

use super::{ChainEntry, Retries, UpstreamTls};
use crate::Name;

/// Something behind the gateway that answers requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub name: Name,
    pub destination: Destination,
    /// Prefix put before the path sent to the upstream; empty or starting with `/`, no trailing `/`.
    pub path: String,
    /// Default: by scheme, [`Protocol::Http1`] or, over TLS, [`Protocol::Auto`].
    pub protocol: Protocol,
    /// For `https` only.
    pub tls: UpstreamTls,
    pub timeouts: Timeouts,
    pub retries: Retries,
    pub chain: Vec<ChainEntry>,
    pub tags: Vec<String>,
}

/// Where a service's requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One host and port, from the service's `url`. The host is in lower case, an IPv6 address
    /// without brackets.
    Host { scheme: Scheme, host: String, port: u16 },
    /// A named upstream and its targets.
    Upstream { scheme: Scheme, upstream: Name },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

/// Which HTTP a service's targets are spoken to with. Upgrades (WebSocket) always take HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    Http1,
    /// Over TLS by agreement (ALPN), otherwise with prior knowledge.
    Http2,
    /// What the target chooses, HTTP/2 preferred. Over TLS only.
    Auto,
}

impl Destination {
    pub fn scheme(&self) -> Scheme {
        let (Destination::Host { scheme, .. } | Destination::Upstream { scheme, .. }) = self;
        *scheme
    }
}

/// How long each phase of a forwarded request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Opening a connection to a target, handshakes included. Default 5 s.
    pub connect: Duration,
    /// From the request's last byte (or, while it still streams, from the last progress) to the
    /// response's head. Default 60 s.
    pub response: Duration,
    /// Between two pieces of a body, either way. Default 60 s.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { connect: Duration::from_secs(5), response: Duration::from_secs(60), idle: Duration::from_secs(60) }
    }
}
