use std::net::IpAddr;
use std::time::Duration;

use tollgate_model::condition::AddressBlock;
use tollgate_model::normal_form::PathRules;

/// How the data plane treats connections and requests.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Peers whose `X-Forwarded-*` fields are believed.
    pub trusted_proxies: Vec<AddressBlock>,
    /// Adds `X-Tollgate-Upstream-Latency` and `X-Tollgate-Proxy-Latency` (milliseconds).
    pub latency_headers: bool,
    /// Bytes of a request's whole head.
    pub head_size: usize,
    /// Fields of a request.
    pub header_count: usize,
    /// Bytes of a request's target.
    pub target_size: usize,
    /// What is refused of a request's path.
    pub path_rules: PathRules,
    /// Bytes of a request's body; `None` is no limit.
    pub body_size: Option<u64>,
    /// Bytes of all bodies together that are held back for plugins.
    pub held_bodies: u64,
    /// How long a client may be silent: until the first byte of a request, from the connection's start
    /// or the end of the response before. How long it may take nothing of a response, and how long a
    /// connection of HTTP/2 may have no stream open.
    pub idle: Duration,
    /// From the first byte of a request's head to its last. Of what opens a connection of HTTP/2 too.
    pub head: Duration,
    /// Idle connections kept to one target, per worker.
    pub upstream_idle_connections: usize,
    /// How long they are kept.
    pub upstream_idle: Duration,
    /// How long the addresses of a target's name are good for.
    pub name_ttl: Duration,
    /// How long a worker waits for its connections once it drains.
    pub drain: Duration,
    /// Client connections of all workers together, upgraded ones included; more wait to be accepted.
    /// `None` is no limit.
    pub connections: Option<usize>,
    /// Client connections of one address (IPv6: of one /64), trusted proxies apart; more are closed.
    /// `None` is no limit.
    pub connections_per_address: Option<usize>,
    /// Descriptors from this number on are left to others than clients.
    pub descriptor_ceiling: usize,
    /// Streams that a client may have open on one HTTP/2 connection.
    pub http2_streams: u32,
}

/// Why a [`ProxyConfig`] can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidProxy(pub &'static str);

impl Default for ProxyConfig {
    fn default() -> Self {
        ProxyConfig {
            trusted_proxies: Vec::new(),
            latency_headers: false,
            head_size: 64 << 10,
            header_count: 100,
            target_size: 8 << 10,
            path_rules: PathRules::Strict,
            body_size: None,
            held_bodies: 256 << 20,
            idle: Duration::from_secs(75),
            upstream_idle_connections: 256,
            upstream_idle: Duration::from_secs(60),
            name_ttl: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            head: Duration::from_secs(15),
            connections: None,
            connections_per_address: None,
            descriptor_ceiling: usize::MAX,
            http2_streams: 128,
        }
    }
}

impl ProxyConfig {
    /// Checks what the types can't say.
    pub fn validate(&self) -> Result<(), InvalidProxy> {
        // hyper needs room for a whole head, and takes no buffer below 8 KiB.
        if self.head_size < 8 << 10 {
            return Err(InvalidProxy("head_size is at least 8KiB"));
        }
        if self.header_count == 0
            || self.target_size == 0
            || self.connections == Some(0)
            || self.connections_per_address == Some(0)
            || self.http2_streams == 0
        {
            return Err(InvalidProxy("limits of 0 would refuse everything"));
        }
        Ok(())
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|block| block.contains(address))
    }
}
