use std::net::IpAddr;
use std::time::Duration;

use tollgate_model::condition::AddressBlock;

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
    /// Bytes of a request's body; `None` is no limit.
    pub body_size: Option<u64>,
    /// Until a request's head is complete, from the connection's start or the end of the response before.
    pub idle: Duration,
    /// Idle connections kept to one target, per worker.
    pub upstream_idle_connections: usize,
    /// How long they are kept.
    pub upstream_idle: Duration,
    /// How long a worker waits for its connections once it drains.
    pub drain: Duration,
    /// Client connections of one worker.
    pub connections: usize,
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
            body_size: None,
            idle: Duration::from_secs(75),
            upstream_idle_connections: 256,
            upstream_idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            connections: 16_384,
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
        if self.header_count == 0 || self.target_size == 0 || self.connections == 0 || self.http2_streams == 0 {
            return Err(InvalidProxy("limits of 0 would refuse everything"));
        }
        Ok(())
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|block| block.contains(address))
    }
}
