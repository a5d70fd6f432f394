use std::time::Duration;

use super::ChainEntry;
use crate::Name;

/// Something behind the gateway that answers requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub name: Name,
    pub destination: Destination,
    /// Prefix put before the path sent to the upstream; empty or starting with `/`, no trailing `/`.
    pub path: String,
    pub timeouts: Timeouts,
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

/// How long each phase of a forwarded request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Opening a connection to a target. Default 5 s.
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
