use std::net::SocketAddr;
use std::num::NonZeroUsize;

use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, PositiveTime, one_of};
use tollgate_model::normal_form::PathRules;
use tollgate_model::problem::Complaint;
use tollgate_model::units::ByteSize;
use tollgate_proxy::ProxyConfig;

use super::tls::TlsTable;

/// `[proxy]`
pub(super) struct ProxyTable {
    pub(super) listen: Vec<SocketAddr>,
    pub(super) tls: Option<TlsTable>,
    /// `None`: one a processor.
    pub(super) workers: Option<usize>,
    pub(super) config: ProxyConfig,
}

impl Default for ProxyTable {
    fn default() -> Self {
        ProxyTable {
            listen: vec![([127, 0, 0, 1], 8000).into()],
            tls: None,
            workers: None,
            config: ProxyConfig::default(),
        }
    }
}

impl Decode for ProxyTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<ProxyTable> {
        let defaults = ProxyConfig::default();
        let mut fields = Fields::open(value, place, problems);
        let OneOrMore(listen) = fields.optional("listen", OneOrMore(ProxyTable::default().listen));
        let tls = fields.maybe::<TlsTable>("tls");
        if listen.is_empty() && !fields.has("tls") {
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
            path_rules: fields.optional("paths", Rules(defaults.path_rules)).0,
            body_size: fields.maybe::<ByteSize>("body_size").map(|size| size.0),
            held_bodies: fields.optional("held_bodies", ByteSize(defaults.held_bodies)).0,
            idle: fields.optional("idle_timeout", PositiveTime(defaults.idle)).0,
            head: fields.optional("head_timeout", PositiveTime(defaults.head)).0,
            connections: fields.maybe::<u64>("connections").map(|most| most as usize),
            connections_per_address: fields.maybe::<u64>("connections_per_address").map(|most| most as usize),
            descriptor_ceiling: defaults.descriptor_ceiling,
            http2_streams: fields.optional("http2_streams", u64::from(defaults.http2_streams)).min(u32::MAX.into())
                as u32,
            upstream_idle_connections: fields
                .optional("upstream_idle_connections", defaults.upstream_idle_connections as u64)
                as usize,
            upstream_idle: fields.optional("upstream_idle_timeout", PositiveTime(defaults.upstream_idle)).0,
            name_ttl: fields.optional("name_ttl", PositiveTime(defaults.name_ttl)).0,
            drain: defaults.drain,
        };
        if let Err(invalid) = config.validate() {
            fields.refuse_table(Complaint::new(invalid.to_string(), "leave the key out for the default"));
        }
        fields.finish()?;
        Some(ProxyTable { listen, tls, workers: workers.map(NonZeroUsize::get), config })
    }
}

struct Rules(PathRules);

impl Decode for Rules {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Rules> {
        let choices = [("strict", PathRules::Strict), ("lenient", PathRules::Lenient)];
        one_of(value, place, problems, &choices).map(Rules)
    }
}

/// `"a"` or `["a", "b"]`.
pub(super) struct OneOrMore(pub(super) Vec<SocketAddr>);

impl Decode for OneOrMore {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<OneOrMore> {
        match value {
            Value::Array(_) => Vec::decode(value, place, problems).map(OneOrMore),
            one => SocketAddr::decode(one, place, problems).map(|address| OneOrMore(vec![address])),
        }
    }
}
