use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::RandomState;
use http::HeaderValue;
use tollgate_model::entity::Scheme;

use super::Balancer;
use crate::snapshot::default_port;

/// One address that requests are sent to. The same from snapshot to snapshot, so that its
/// connections and load outlive a change of something else.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// `host:port`, for logs.
    pub(crate) address: Box<str>,
    /// What the upstream is sent as Host.
    pub(crate) authority: HeaderValue,
    /// Requests under way, all workers together.
    load: AtomicU32,
}

/// All endpoints of a snapshot by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints {
    by_address: HashMap<(Scheme, String, u16), Arc<Endpoint>, RandomState>,
}

/// A request on its way to an endpoint, counted until dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Endpoint>);

impl Endpoints {
    pub(crate) fn at(&mut self, scheme: Scheme, host: &str, port: u16) -> Arc<Endpoint> {
        let made = self.by_address.entry((scheme, host.to_owned(), port)).or_insert_with(|| {
            let shown = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            let authority = if port == default_port(scheme) { shown.clone() } else { format!("{shown}:{port}") };
            Arc::new(Endpoint {
                scheme,
                host: host.into(),
                port,
                address: format!("{shown}:{port}").into(),
                // Hosts of a valid configuration are visible ASCII.
                authority: HeaderValue::from_str(&authority).unwrap_or(HeaderValue::from_static("invalid")),
                load: AtomicU32::new(0),
            })
        });
        Arc::clone(made)
    }

    pub(crate) fn retain_used<'a>(&mut self, balancers: impl Iterator<Item = &'a Balancer>) {
        let used: std::collections::HashSet<*const Endpoint> =
            balancers.flat_map(Balancer::endpoints).map(Arc::as_ptr).collect();
        self.by_address.retain(|_, endpoint| used.contains(&Arc::as_ptr(endpoint)));
    }

    pub(crate) fn holds(&self, endpoint: &Arc<Endpoint>) -> bool {
        let address = (endpoint.scheme, endpoint.host.to_string(), endpoint.port);
        self.by_address.get(&address).is_some_and(|known| Arc::ptr_eq(known, endpoint))
    }
}

impl Endpoint {
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
