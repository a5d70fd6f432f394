mod entry;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use tollgate_model::entity::{Destination, Scheme, Service};
use tollgate_model::{ConfigSet, Name};
use tollgate_plugin_host::{CompiledChain, Degraded};

use super::builder::Wanted;
use super::changes::changes;
use super::plugins::Altered;
use super::routes::are_one;
use crate::upstream::{Endpoint, Endpoints, Healths, Names, TlsClients, TlsWanted, UpstreamHealth};
pub(crate) use entry::{ServiceEntry, default_port, prefixed};

/// The services of a snapshot, and how their upstreams are.
#[derive(Clone, Default)]
pub(super) struct Services {
    by_name: HashTrieMapSync<Name, Served, RandomState>,
    degraded: RedBlackTreeMapSync<Name, Arc<str>>,
    healths: Healths,
    endpoints: Endpoints,
    /// Services that serve by older TLS files than there are, and why.
    stale_tls: Arc<[(String, String)]>,
    /// The number of the first snapshot with these.
    changed_at: u64,
}

#[derive(Clone)]
pub(super) struct Served {
    pub(super) entry: Arc<ServiceEntry>,
    /// Of routes without entries of their own: compiled once.
    pub(super) chain: Chain,
}

pub(super) type Chain = Result<Arc<CompiledChain>, Degraded>;

/// What endpoints are made of.
pub(super) struct Reach<'a> {
    pub(super) names: &'a Names,
    pub(super) tls: &'a mut TlsClients,
}

/// One pass from the services of a snapshot to those of the next.
struct Pass<'a> {
    wanted: &'a Wanted<'a>,
    altered: &'a Altered,
    reach: Reach<'a>,
    /// Upstreams that changed.
    upstreams: HashSet<&'a Name, RandomState>,
    /// Of services without entries of their own.
    global: Option<Chain>,
    /// Services that routes have to be looked at again for.
    touched: Touched,
    /// Entries that no service has any more.
    left: Vec<Arc<ServiceEntry>>,
    come: bool,
}

/// Services by name.
pub(super) type Touched = HashSet<Name, RandomState>;

impl Services {
    /// With those that routes have to be looked at again for.
    pub(super) fn next(&self, wanted: &Wanted<'_>, altered: &Altered, reach: Reach<'_>) -> (Services, Touched) {
        let mut next = self.clone();
        let upstreams = next.judge(wanted);
        let new_files = reach.tls.refresh();
        let new_tls = new_files || !changes(&wanted.last.set.certificates, &wanted.set.certificates).is_empty();
        let mut pass = Pass {
            wanted,
            altered,
            reach,
            upstreams,
            global: None,
            touched: Touched::default(),
            left: Vec::new(),
            come: false,
        };
        for (name, service) in pass.affected(new_tls) {
            match service {
                Some(service) => next.put(name, service, self.by_name.get(name), &mut pass),
                None => next.remove(name, self.by_name.get(name), &mut pass),
            }
        }
        let moved = pass.come || !pass.left.is_empty();
        if moved {
            next.changed_at = wanted.number;
            next.part_from(&pass.left, &mut pass.reach);
        }
        if moved || new_tls {
            next.stale_tls = next.stale(wanted.set, pass.reach.tls);
        }
        (next, pass.touched)
    }

    pub(super) fn get(&self, name: &Name) -> Option<&Served> {
        self.by_name.get(name)
    }

    pub(super) fn degraded(&self) -> impl Iterator<Item = (&Name, &Arc<str>)> {
        self.degraded.iter()
    }

    pub(super) fn stale_tls(&self) -> &[(String, String)] {
        &self.stale_tls
    }

    pub(super) fn healths(&self) -> &Healths {
        &self.healths
    }

    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    pub(super) fn changed_at(&self) -> u64 {
        self.changed_at
    }

    /// In the order of the set, so that it is the same service each time.
    pub(super) fn checked(&self, set: &ConfigSet) -> Vec<(Arc<UpstreamHealth>, Vec<Arc<Endpoint>>)> {
        let mut known: HashSet<*const UpstreamHealth, RandomState> = HashSet::default();
        let entries = set.services.keys().filter_map(|name| self.by_name.get(name));
        let balancers = entries.filter_map(|served| served.entry.balancer.as_ref().ok());
        let checked = balancers.filter_map(|balancer| Some((balancer.health()?, balancer)));
        let checked = checked.filter(|(health, _)| health.check.is_some() && known.insert(Arc::as_ptr(health)));
        checked.map(|(health, balancer)| (Arc::clone(health), balancer.endpoints().cloned().collect())).collect()
    }

    /// Those of the upstreams that changed.
    fn judge<'w>(&mut self, wanted: &Wanted<'w>) -> HashSet<&'w Name, RandomState> {
        let changed = changes(&wanted.last.set.upstreams, &wanted.set.upstreams);
        for change in &changed {
            let health = change.new.and_then(|new| UpstreamHealth::of(new, self.healths.get(change.name)));
            self.healths.put(change.name, health);
        }
        changed.iter().map(|change| change.name).collect()
    }

    fn put(&mut self, name: &Name, service: &Arc<Service>, old: Option<&Served>, pass: &mut Pass<'_>) {
        let set = pass.wanted.set;
        let kept = old.filter(|old| !pass.reaches_others(service) && old.entry.is_of(set, service, &mut pass.reach));
        let entry = match kept {
            Some(kept) => Arc::clone(&kept.entry),
            None => self.entry(service, old, pass),
        };
        let chain = match (pass.chain(service), old.map(|old| &old.chain)) {
            // The same chain keeps its identity: requests on their way hold it weakly.
            (Ok(new), Some(Ok(old))) if *new == **old => Ok(Arc::clone(old)),
            (chain, _) => chain,
        };
        let same = old.is_some_and(|old| Arc::ptr_eq(&old.entry, &entry) && are_one(&old.chain, &chain));
        if !same {
            self.by_name.insert_mut(name.clone(), Served { entry, chain });
        }
        if !same || pass.altered.concerns(&service.chain) {
            pass.touched.insert(name.clone());
        }
    }

    fn entry(&mut self, service: &Arc<Service>, old: Option<&Served>, pass: &mut Pass<'_>) -> Arc<ServiceEntry> {
        let reach = &mut pass.reach;
        let entry = ServiceEntry::new(pass.wanted.set, service, &self.healths, &mut self.endpoints, reach);
        match &entry.balancer {
            Ok(balancer) => {
                self.endpoints.hold(balancer);
                self.degraded.remove_mut(&service.name);
            }
            Err(reason) => self.degraded.insert_mut(service.name.clone(), reason.as_str().into()),
        }
        pass.come = true;
        pass.left.extend(old.map(|old| Arc::clone(&old.entry)));
        Arc::new(entry)
    }

    fn remove(&mut self, name: &Name, old: Option<&Served>, pass: &mut Pass<'_>) {
        self.by_name.remove_mut(name);
        self.degraded.remove_mut(name);
        pass.left.extend(old.map(|old| Arc::clone(&old.entry)));
        pass.touched.insert(name.clone());
    }

    /// After the new ones came, so that what both need stays.
    fn part_from(&mut self, left: &[Arc<ServiceEntry>], reach: &mut Reach<'_>) {
        left.iter().filter_map(|entry| entry.balancer.as_ref().ok()).for_each(|gone| self.endpoints.release(gone));
        self.endpoints.drop_unheld();
        if left.iter().any(|entry| entry.tls().is_some()) {
            let used: HashSet<&TlsWanted, RandomState> =
                self.by_name.values().filter_map(|served| served.entry.tls().map(Arc::as_ref)).collect();
            reach.tls.retain(|wanted| used.contains(wanted));
        }
    }

    fn stale(&self, set: &ConfigSet, tls: &TlsClients) -> Arc<[(String, String)]> {
        if !tls.has_stale() {
            return Arc::default();
        }
        let problem = |name: &Name| tls.staleness(self.by_name.get(name)?.entry.tls()?);
        let stale = set.services.keys().filter_map(|name| Some((format!("service {name}"), problem(name)?.to_owned())));
        stale.collect()
    }
}

impl<'a> Pass<'a> {
    /// Services whose entry or chain may be another one; `None` for those that are gone.
    fn affected(&self, new_tls: bool) -> BTreeMap<&'a Name, Option<&'a Arc<Service>>> {
        let (old, new) = (&self.wanted.last.set.services, &self.wanted.set.services);
        let mut affected: BTreeMap<_, _> =
            changes(old, new).into_iter().map(|change| (change.name, change.new)).collect();
        if new_tls || !self.upstreams.is_empty() || !self.altered.is_nothing() {
            for (name, service) in new {
                let has_new_tls = new_tls && service.destination.scheme() == Scheme::Https;
                if has_new_tls || self.reaches_others(service) || self.altered.concerns(&service.chain) {
                    affected.entry(name).or_insert(Some(service));
                }
            }
        }
        affected
    }

    /// Its upstream changed.
    fn reaches_others(&self, service: &Service) -> bool {
        match &service.destination {
            Destination::Upstream { upstream, .. } => self.upstreams.contains(upstream),
            Destination::Host { .. } => false,
        }
    }

    fn chain(&mut self, service: &Service) -> Chain {
        let compile = || CompiledChain::compile(&self.wanted.set.service_chain(service), self.wanted.prepared);
        match service.chain.is_empty() {
            true => self.global.get_or_insert_with(compile).clone(),
            false => compile(),
        }
    }
}
