use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use tollgate_model::ConfigSet;
use tollgate_model::entity::{Destination, Retries, Scheme, Service, Timeouts};

use super::Reach;
use crate::upstream::{Address, Balancer, Endpoints, Healths, TlsSide, TlsWanted};

/// What a request needs of a service.
pub(crate) struct ServiceEntry {
    pub(crate) name: Arc<str>,
    pub(crate) timeouts: Timeouts,
    /// Put in front of every path; empty for none.
    pub(crate) path: String,
    /// Its targets, or why none of them can be reached from this node.
    pub(crate) balancer: Result<Balancer, String>,
    tls: Option<Arc<TlsWanted>>,
    /// Of its TLS side, if it has one.
    tls_number: Option<u64>,
    entity: Arc<Service>,
}

impl ServiceEntry {
    pub(super) fn new(
        set: &ConfigSet,
        service: &Arc<Service>,
        healths: &Healths,
        endpoints: &mut Endpoints,
        reach: &mut Reach<'_>,
    ) -> ServiceEntry {
        let side = tls_side(set, service, reach);
        let tls = side.as_ref().map(|side| Arc::clone(&side.wanted));
        let client = side.map(|side| side.client).transpose();
        let tls_number = client.as_ref().ok().and_then(|client| Some(client.as_ref()?.number));
        let balancer = client.and_then(|client| {
            let (scheme, protocol) = (service.destination.scheme(), service.protocol);
            let mut endpoint = |host: &str, port| {
                let address = Address { scheme, host: host.to_owned(), port, protocol };
                endpoints.at(reach.names, address, client.as_deref())
            };
            match &service.destination {
                Destination::Host { host, port, .. } => endpoint(host, *port).map(Balancer::single),
                Destination::Upstream { upstream, .. } => match set.upstreams.get(upstream) {
                    Some(upstream) => {
                        let health = healths.get(&upstream.name).cloned();
                        Balancer::of(upstream, health, |target| endpoint(&target.host, target.port))
                    }
                    // References of a set resolve; an empty balancer answers 503.
                    None => Ok(Balancer::empty()),
                },
            }
        });
        ServiceEntry {
            name: service.name.shared(),
            timeouts: service.timeouts,
            path: service.path.clone(),
            balancer,
            tls,
            tls_number,
            entity: Arc::clone(service),
        }
    }

    /// Whether a new one would be the same, as far as its entity and its TLS side decide it.
    pub(super) fn is_of(&self, set: &ConfigSet, service: &Arc<Service>, reach: &mut Reach<'_>) -> bool {
        let same_side = |side: TlsSide| {
            let number = side.client.ok().map(|client| client.number);
            self.tls.as_deref() == Some(&*side.wanted) && number == self.tls_number
        };
        (Arc::ptr_eq(&self.entity, service) || self.entity == *service)
            && tls_side(set, service, reach).is_none_or(same_side)
    }

    /// What its TLS side is made of, if it has one.
    pub(super) fn tls(&self) -> Option<&Arc<TlsWanted>> {
        self.tls.as_ref()
    }

    pub(crate) fn retries(&self) -> &Retries {
        &self.entity.retries
    }

    /// How long the head of a response is waited for.
    pub(crate) fn response_patience(&self) -> Duration {
        let response = self.timeouts.response;
        self.entity.retries.per_try_timeout.map_or(response, |per_try| per_try.min(response))
    }
}

fn tls_side(set: &ConfigSet, service: &Service, reach: &mut Reach<'_>) -> Option<TlsSide> {
    (service.destination.scheme() == Scheme::Https).then(|| reach.tls.side(set, service))
}

/// `base` put in front of a target's path.
pub(crate) fn prefixed(base: &str, target: &PathAndQuery) -> Option<PathAndQuery> {
    if base.is_empty() {
        return Some(target.clone());
    }
    let path = if target.path() == "/" { "" } else { target.path() };
    let joined = match target.query() {
        Some(query) => format!("{base}{path}?{query}"),
        None => format!("{base}{path}"),
    };
    joined.try_into().ok()
}

pub(crate) fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}
