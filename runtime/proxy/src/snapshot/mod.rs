//! The configuration as it serves: built aside, swapped whole, never changed.

mod changes;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::uri::PathAndQuery;
use tollgate_keys::{Credentials, Pepper};
use tollgate_model::entity::{Destination, Retries, Route, Scheme, Service, Timeouts, Upstream};
use tollgate_model::{Chain, ChainLink, ConfigSet, Level, Name, Router};
use tollgate_plugin_host::{CompiledChain, Degraded, PluginUse, Prepared};

use crate::directory::{Census, ConsumerDirectory};
use crate::upstream::{Address, Balancer, Endpoint, Endpoints, Names, Round, TlsClients, TlsSide, UpstreamHealth};

pub(crate) use changes::{Change, changes};

/// Everything that requests are served by.
pub struct Snapshot {
    /// Counts the snapshots of this process.
    pub number: u64,
    pub set: Arc<ConfigSet>,
    pub(crate) router: Router<Arc<RouteEntry>>,
    pub(crate) directory: Arc<ConsumerDirectory>,
    routes: HashMap<Arc<str>, Arc<RouteEntry>, RandomState>,
    uses: Vec<Arc<PluginUse>>,
    /// Of all uses: a request may have been refused before it came to the one that it was for.
    secret_parameters: Vec<Box<str>>,
    /// The global chain alone, without its broken plugins: who logs requests that no route took, or one
    /// that can't be served.
    unrouted: Option<Arc<CompiledChain>>,
    endpoints: Endpoints,
    services: BTreeMap<Name, Arc<ServiceEntry>>,
    healths: Healths,
    /// Services that serve by older TLS files than there are, and why.
    stale_tls: Vec<(String, String)>,
}

/// How upstreams are, of those where something is to be judged.
type Healths = BTreeMap<Name, Arc<UpstreamHealth>>;

/// A route and all that a request on it needs.
pub struct RouteEntry {
    pub name: Arc<str>,
    pub route: Arc<Route>,
    pub chain: Result<Arc<CompiledChain>, Degraded>,
    pub(crate) service: Arc<ServiceEntry>,
    /// Of the route, so that a request need not look for them there.
    pub(crate) strip_path: bool,
    pub(crate) preserve_host: bool,
}

pub(crate) struct ServiceEntry {
    pub(crate) name: Arc<str>,
    pub(crate) timeouts: Timeouts,
    /// Put in front of every path; empty for none.
    pub(crate) path: String,
    /// Its targets, or why none of them can be reached from this node.
    pub(crate) balancer: Result<Balancer, String>,
    tls: Option<u64>,
    entity: Arc<Service>,
}

/// Builds one snapshot after the other, reusing what did not change.
pub struct Builder {
    pepper: Arc<Pepper>,
    tls: TlsClients,
    names: Names,
    last: Option<Arc<Snapshot>>,
    count: u64,
}

impl Builder {
    /// `pepper` keys the hashes that credentials are found by; relative paths of the configuration
    /// start at `folder`; `name_ttl` is how long the address of a name is good for.
    pub fn new(pepper: Arc<Pepper>, folder: impl Into<PathBuf>, name_ttl: Duration) -> Builder {
        let (tls, names) = (TlsClients::new(folder.into()), Names::new(name_ttl));
        Builder { pepper, tls, names, last: None, count: 0 }
    }

    /// Keys the hashes of API keys.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// The files of upstream TLS that the last snapshot was built by, or would have been.
    pub fn tls_files(&self) -> Vec<PathBuf> {
        self.tls.files().collect()
    }

    /// Whether one of them has changed since: another snapshot of the same set would differ.
    pub fn tls_files_changed(&self) -> bool {
        self.tls.have_changed()
    }

    pub fn build(
        &mut self,
        set: &Arc<ConfigSet>,
        credentials: &Arc<Credentials>,
        prepared: &Prepared,
    ) -> Arc<Snapshot> {
        let last = self.last.as_deref();
        let mut endpoints = last.map(|last| last.endpoints.clone()).unwrap_or_default();
        let mut tls = self.tls.round();
        let healths = healths(set, last);
        let mut stale_tls = Vec::new();
        let mut reach = Reach { names: &self.names, endpoints: &mut endpoints, tls: &mut tls, stale: &mut stale_tls };
        let services = services(set, &healths, last, &mut reach);
        tls.finish();
        let mut chains = ChainCache::default();
        let entries: Vec<(Arc<Route>, Arc<RouteEntry>)> = set
            .routes
            .values()
            .filter_map(|route| {
                let service = services.get(&route.service)?;
                let entry = route_entry(set, prepared, route, service, last, &mut chains);
                Some((Arc::clone(route), entry))
            })
            .collect();
        endpoints.retain_used(services.values().filter_map(|service| service.balancer.as_ref().ok()));
        self.count += 1;
        let census = Census { set, credentials, prepared };
        let directory = match last {
            Some(last) => last.directory.next(&last.set, &census, |_| true),
            None => ConsumerDirectory::empty(Arc::clone(&self.pepper)).next(&ConfigSet::default(), &census, |_| true),
        };
        let uses: Vec<_> = prepared.plugins.values().filter_map(|plugin| plugin.as_ref().ok()).cloned().collect();
        let mut secret_parameters: Vec<Box<str>> =
            uses.iter().flat_map(|plugin| plugin.secret_parameters()).cloned().collect();
        secret_parameters.sort();
        secret_parameters.dedup();
        let snapshot = Arc::new(Snapshot {
            number: self.count,
            set: Arc::clone(set),
            directory: Arc::new(directory),
            routes: entries.iter().map(|(_, entry)| (Arc::clone(&entry.name), Arc::clone(entry))).collect(),
            router: Router::build(entries),
            uses,
            secret_parameters,
            unrouted: CompiledChain::compile(&intact_global_chain(set, prepared), prepared).ok(),
            endpoints,
            services,
            healths,
            stale_tls,
        });
        self.last = Some(Arc::clone(&snapshot));
        snapshot
    }
}

impl RouteEntry {
    /// Hooks may run for its requests.
    pub(crate) fn has_plugins(&self) -> bool {
        self.chain.as_ref().is_ok_and(|chain| !chain.is_empty())
    }
}

impl Snapshot {
    /// What can't be served, and why.
    pub fn degraded(&self) -> Vec<(String, String)> {
        let routes = self.routes.values().filter_map(|entry| {
            let reason = entry.chain.as_ref().err()?;
            Some((format!("route {}", entry.name), reason.to_string()))
        });
        let services = self.services.values().filter_map(|entry| {
            let reason = entry.balancer.as_ref().err()?;
            Some((format!("service {}", entry.name), reason.clone()))
        });
        let consumers = self.directory.chains().filter_map(|(name, chain)| {
            let reason = chain.as_ref().err()?;
            Some((format!("consumer {name}"), reason.to_string()))
        });
        let mut all: Vec<_> = routes.chain(services).chain(consumers).collect();
        all.sort();
        all
    }

    /// Services whose TLS files can't be used as they are, and why: the last good ones serve.
    pub fn stale_tls(&self) -> &[(String, String)] {
        &self.stale_tls
    }

    /// How its upstreams are, as it changes.
    pub fn healths(&self) -> Vec<Arc<UpstreamHealth>> {
        self.healths.values().cloned().collect()
    }

    /// Upstreams with a health check, and their targets as the first service that sends them requests
    /// reaches them.
    pub(crate) fn checked(&self) -> Vec<(Arc<UpstreamHealth>, Vec<Arc<Endpoint>>)> {
        let mut checked: Vec<(Arc<UpstreamHealth>, _)> = Vec::new();
        for balancer in self.services.values().filter_map(|service| service.balancer.as_ref().ok()) {
            let Some(health) = balancer.health().filter(|health| health.check.is_some()) else { continue };
            if !checked.iter().any(|(known, _)| Arc::ptr_eq(known, health)) {
                checked.push((Arc::clone(health), balancer.endpoints().cloned().collect()));
            }
        }
        checked
    }

    /// Uses that want the record of a request on this route, or of one that found no route, or a
    /// degraded one.
    pub(crate) fn loggers(&self, route: &str) -> impl Iterator<Item = &Arc<PluginUse>> {
        let chain = match self.route(route) {
            Some(entry) => entry.chain.as_ref().ok().or(self.unrouted.as_ref()),
            None => self.unrouted.as_ref(),
        };
        chain.into_iter().flat_map(|chain| chain.loggers(u64::MAX))
    }

    pub(crate) fn uses(&self) -> impl Iterator<Item = &Arc<PluginUse>> {
        self.uses.iter()
    }

    /// Query parameters whose values are never written down.
    pub(crate) fn secret_parameters(&self) -> &[Box<str>] {
        &self.secret_parameters
    }

    pub(crate) fn route(&self, name: &str) -> Option<&Arc<RouteEntry>> {
        self.routes.get(name)
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }
}

fn intact_global_chain(set: &ConfigSet, prepared: &Prepared) -> Chain {
    let is_intact = |plugin: &Name| prepared.plugins.get(plugin).is_some_and(Result::is_ok);
    let links = set.chain.iter().filter(|entry| is_intact(&entry.plugin)).filter_map(|entry| {
        let plugin = Arc::clone(set.plugins.get(&entry.plugin)?);
        Some(ChainLink { plugin, when: entry.when.clone(), level: Level::Global })
    });
    Chain { links: links.collect() }
}

/// What endpoints are made of.
struct Reach<'a, 'b> {
    names: &'a Names,
    endpoints: &'a mut Endpoints,
    tls: &'a mut Round<'b>,
    stale: &'a mut Vec<(String, String)>,
}

fn healths(set: &ConfigSet, last: Option<&Snapshot>) -> Healths {
    let health = |upstream: &Arc<Upstream>| {
        let before = last.and_then(|last| last.healths.get(&upstream.name));
        Some((upstream.name.clone(), UpstreamHealth::of(upstream, before)?))
    };
    set.upstreams.values().filter_map(health).collect()
}

fn services(
    set: &ConfigSet,
    healths: &Healths,
    last: Option<&Snapshot>,
    reach: &mut Reach<'_, '_>,
) -> BTreeMap<Name, Arc<ServiceEntry>> {
    let mut entries = BTreeMap::new();
    for service in set.services.values() {
        let tls = (service.destination.scheme() == Scheme::Https).then(|| reach.tls.client(set, service)).transpose();
        if let Ok(Some(TlsSide { problem: Some(problem), .. })) = &tls {
            reach.stale.push((format!("service {}", service.name), problem.clone()));
        }
        let kept = last.and_then(|last| {
            let old = last.services.get(&service.name)?;
            let same_upstream = match &service.destination {
                Destination::Host { .. } => true,
                Destination::Upstream { upstream, .. } => {
                    match (set.upstreams.get(upstream), last.set.upstreams.get(upstream)) {
                        (Some(new), Some(old)) => Arc::ptr_eq(new, old) || new == old,
                        _ => false,
                    }
                }
            };
            let same_tls = old.balancer.is_ok() && tls.as_ref().is_ok_and(|tls| number(tls) == old.tls);
            let same = same_upstream && same_tls && (Arc::ptr_eq(&old.entity, service) || old.entity == *service);
            same.then(|| Arc::clone(old))
        });
        let entry = kept.unwrap_or_else(|| Arc::new(service_entry(set, healths, service, reach, tls)));
        entries.insert(service.name.clone(), entry);
    }
    entries
}

fn number(tls: &Option<TlsSide>) -> Option<u64> {
    tls.as_ref().map(|tls| tls.client.number)
}

fn service_entry(
    set: &ConfigSet,
    healths: &Healths,
    service: &Arc<Service>,
    reach: &mut Reach<'_, '_>,
    tls: Result<Option<TlsSide>, String>,
) -> ServiceEntry {
    let number = tls.as_ref().ok().and_then(number);
    let balancer = tls.and_then(|tls| {
        let (scheme, protocol) = (service.destination.scheme(), service.protocol);
        let mut endpoint = |host: &str, port| {
            let address = Address { scheme, host: host.to_owned(), port, protocol };
            reach.endpoints.at(reach.names, address, tls.as_ref().map(|tls| &*tls.client))
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
        tls: number,
        entity: Arc::clone(service),
    }
}

impl ServiceEntry {
    pub(crate) fn retries(&self) -> &Retries {
        &self.entity.retries
    }

    /// How long the head of a response is waited for.
    pub(crate) fn response_patience(&self) -> Duration {
        let response = self.timeouts.response;
        self.entity.retries.per_try_timeout.map_or(response, |per_try| per_try.min(response))
    }
}

fn route_entry(
    set: &ConfigSet,
    prepared: &Prepared,
    route: &Arc<Route>,
    service: &Arc<ServiceEntry>,
    last: Option<&Snapshot>,
    chains: &mut ChainCache,
) -> Arc<RouteEntry> {
    let chain = chains.compiled(set, prepared, route);
    let old = last.and_then(|last| last.route(route.name.as_str()));
    // The same chain in the old entry keeps its identity: requests on their way hold it weakly.
    let chain = match (chain, old.map(|old| &old.chain)) {
        (Ok(new), Some(Ok(old))) if *new == **old => Ok(Arc::clone(old)),
        (chain, _) => chain,
    };
    if let Some(old) = old
        && Arc::ptr_eq(&old.service, service)
        && (Arc::ptr_eq(&old.route, route) || old.route == *route)
        && let (Ok(kept), Ok(new)) = (&old.chain, &chain)
        && Arc::ptr_eq(kept, new)
    {
        return Arc::clone(old);
    }
    Arc::new(RouteEntry {
        name: route.name.shared(),
        route: Arc::clone(route),
        service: Arc::clone(service),
        chain,
        strip_path: route.strip_path,
        preserve_host: route.preserve_host,
    })
}

/// Chains of routes without entries of their own are those of their service: compiled once.
#[derive(Default)]
struct ChainCache {
    by_service: HashMap<Name, Result<Arc<CompiledChain>, Degraded>, RandomState>,
}

impl ChainCache {
    fn compiled(
        &mut self,
        set: &ConfigSet,
        prepared: &Prepared,
        route: &Route,
    ) -> Result<Arc<CompiledChain>, Degraded> {
        let compile = || CompiledChain::compile(&set.route_chain(route), prepared);
        if !route.chain.is_empty() {
            return compile();
        }
        self.by_service.entry(route.service.clone()).or_insert_with(compile).clone()
    }
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
