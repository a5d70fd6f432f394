use std::net::SocketAddr;
use std::num::NonZeroUsize;

use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, PositiveTime};
use tollgate_model::problem::Complaint;
use tollgate_model::units::ByteSize;
use tollgate_proxy::ProxyConfig;

/// `[proxy]`
pub(super) struct ProxyTable {
    pub(super) listen: Vec<SocketAddr>,
    /// `None`: one a processor.
    pub(super) workers: Option<usize>,
    pub(super) config: ProxyConfig,
}

impl Default for ProxyTable {
    fn default() -> Self {
        ProxyTable { listen: vec![([127, 0, 0, 1], 8000).into()], workers: None, config: ProxyConfig::default() }
    }
}

impl Decode for ProxyTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<ProxyTable> {
        let defaults = ProxyConfig::default();
        let mut fields = Fields::open(value, place, problems)?;
        let OneOrMore(listen) = fields.optional("listen", OneOrMore(ProxyTable::default().listen));
        if listen.is_empty() {
            fields.refuse("listen", Complaint::new("there is no address to listen on", "write \"127.0.0.1:8000\""));
        }
        let workers = fields.maybe::<u64>("workers").and_then(|workers| NonZeroUsize::new(workers as usize));
        let size = |size: usize| ByteSize(size as u64);
        let config = ProxyConfig {
            trusted_proxies: fields.optional("trusted_proxies", defaults.trusted_proxies),
            latency_headers: fields.optional("latency_headers", defaults.latency_headers),
            head_size: fields.optional("head_size", size(defaults.head_size)).0 as usize,
            header_count: fields.optional("header_count", defaults.header_count as u64) as usize,
            target_size: fields.optional("target_size", size(defaults.target_size)).0 as usize,
            body_size: fields.maybe::<ByteSize>("body_size").map(|size| size.0),
            idle: fields.optional("idle_timeout", PositiveTime(defaults.idle)).0,
            head: fields.optional("head_timeout", PositiveTime(defaults.head)).0,
            connections: fields.maybe::<u64>("connections").map(|most| most as usize),
            connections_per_address: fields.maybe::<u64>("connections_per_address").map(|most| most as usize),
            descriptor_ceiling: defaults.descriptor_ceiling,
            upstream_idle_connections: fields
                .optional("upstream_idle_connections", defaults.upstream_idle_connections as u64)
                as usize,
            upstream_idle: fields.optional("upstream_idle_timeout", PositiveTime(defaults.upstream_idle)).0,
            drain: defaults.drain,
        };
        if let Err(invalid) = config.validate() {
            fields.refuse_table(Complaint::new(invalid.to_string(), "leave the key out for the default"));
        }
        fields.finish()?;
        Some(ProxyTable { listen, workers: workers.map(NonZeroUsize::get), config })
    }
}

/// `"a"` or `["a", "b"]`.
struct OneOrMore(Vec<SocketAddr>);

impl Decode for OneOrMore {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<OneOrMore> {
        match value {
            Value::Array(_) => Vec::decode(value, place, problems).map(OneOrMore),
            one => SocketAddr::decode(one, place, problems).map(|address| OneOrMore(vec![address])),
        }
    }
}
