use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use foldhash::fast::RandomState;
use http::HeaderValue;
use rpds::HashTrieMapSync;
use tollgate_model::entity::{Protocol, Scheme};

use super::names::{HostName, Names};
use super::tls::EndpointTls;
use super::{Balancer, TlsClient};
use crate::snapshot::default_port;

/// One address that requests are sent to, in one way. The same from snapshot to snapshot, so that its
/// connections and load outlive a change of something else.
#[derive(Debug)]
pub(crate) struct Endpoint {
    identity: Identity,
    pub(super) place: Place,
    /// `None`: in clear.
    pub(crate) tls: Option<EndpointTls>,
    /// `host:port`, for logs.
    pub(crate) display: Box<str>,
    /// What the upstream is sent as Host.
    pub(crate) authority: HeaderValue,
    /// Requests under way, all workers together.
    load: AtomicU32,
}

/// What its host is.
#[derive(Debug)]
pub(super) enum Place {
    Address(IpAddr),
    Name(Arc<HostName>),
}

/// Where an endpoint is, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

/// Services with the same address and different TLS share no connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    address: Address,
    tls: Option<u64>,
}

/// All endpoints of a snapshot. Copies share what is the same in both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints {
    by_identity: HashTrieMapSync<Identity, Held, RandomState>,
    /// Made, but held by nobody yet.
    unheld: Vec<Identity>,
}

#[derive(Clone, Debug)]
struct Held {
    endpoint: Arc<Endpoint>,
    /// Places in balancers.
    times: u32,
}

/// A request on its way to an endpoint, counted until dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Endpoint>);

impl Endpoints {
    /// # Errors
    /// Says why no TLS connection to this host is possible.
    pub(crate) fn at(
        &mut self,
        names: &Names,
        address: Address,
        tls: Option<&TlsClient>,
    ) -> Result<Arc<Endpoint>, String> {
        let identity = Identity { address, tls: tls.map(|tls| tls.number) };
        if let Some(known) = self.by_identity.get(&identity) {
            return Ok(Arc::clone(&known.endpoint));
        }
        let Address { scheme, host, port, protocol } = &identity.address;
        let tls = tls.map(|tls| tls.endpoint(host, *protocol)).transpose()?;
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let authority = if *port == default_port(*scheme) { shown.clone() } else { format!("{shown}:{port}") };
        let place = host.parse().map_or_else(|_| Place::Name(names.name(host)), Place::Address);
        let endpoint = Arc::new(Endpoint {
            place,
            tls,
            display: format!("{shown}:{port}").into(),
            // Hosts of a valid configuration are visible ASCII.
            authority: HeaderValue::from_str(&authority).unwrap_or(HeaderValue::from_static("invalid")),
            load: AtomicU32::new(0),
            identity: identity.clone(),
        });
        self.unheld.push(identity.clone());
        self.by_identity.insert_mut(identity, Held { endpoint: Arc::clone(&endpoint), times: 0 });
        Ok(endpoint)
    }

    /// The balancer's endpoints stay until it releases them.
    pub(crate) fn hold(&mut self, balancer: &Balancer) {
        for endpoint in balancer.endpoints() {
            if let Some(held) = self.by_identity.get_mut(&endpoint.identity) {
                held.times += 1;
            }
        }
    }

    /// Of a balancer that held them.
    pub(crate) fn release(&mut self, balancer: &Balancer) {
        for endpoint in balancer.endpoints() {
            let Some(held) = self.by_identity.get_mut(&endpoint.identity) else { continue };
            held.times = held.times.saturating_sub(1);
            if held.times == 0 {
                self.unheld.push(endpoint.identity.clone());
            }
        }
    }

    pub(crate) fn drop_unheld(&mut self) {
        for identity in std::mem::take(&mut self.unheld) {
            if self.by_identity.get(&identity).is_some_and(|held| held.times == 0) {
                self.by_identity.remove_mut(&identity);
            }
        }
    }

    pub(crate) fn holds(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.by_identity.get(&endpoint.identity).is_some_and(|known| Arc::ptr_eq(&known.endpoint, endpoint))
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_identity.values().map(|held| &held.endpoint)
    }
}

impl Endpoint {
    pub(crate) fn address(&self) -> &Address {
        &self.identity.address
    }

    /// Connections of an earlier epoch may lead to where the endpoint is not any more.
    pub(crate) fn epoch(&self) -> u32 {
        match &self.place {
            Place::Address(_) => 0,
            Place::Name(name) => name.epoch(),
        }
    }

    /// Looks its name up, if it has one and it is time to.
    pub(crate) fn refresh_name(&self, now: Instant) {
        if let Place::Name(name) = &self.place {
            name.refresh(now);
        }
    }

    pub(crate) fn load(&self) -> u32 {
        self.load.load(Ordering::Relaxed)
    }
}

impl InFlight {
    pub(crate) fn begin(endpoint: Arc<Endpoint>) -> InFlight {
        endpoint.load.fetch_add(1, Ordering::Relaxed);
        InFlight(endpoint)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}
