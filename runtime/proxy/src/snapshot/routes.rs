use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use tollgate_model::entity::Route;
use tollgate_model::{Name, Router};
use tollgate_plugin_host::{CompiledChain, Degraded};

use super::builder::Wanted;
use super::changes::changes;
use super::plugins::Altered;
use super::services::{Chain, ServiceEntry, Services, Touched};

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

/// Those of a snapshot.
#[derive(Clone)]
pub(super) struct Routes {
    router: Router<Arc<RouteEntry>>,
    by_name: HashTrieMapSync<Name, Arc<RouteEntry>, RandomState>,
    degraded: RedBlackTreeMapSync<Name, Degraded>,
}

impl RouteEntry {
    /// Hooks may run for its requests.
    pub(crate) fn has_plugins(&self) -> bool {
        self.chain.as_ref().is_ok_and(|chain| !chain.is_empty())
    }
}

impl Routes {
    pub(super) fn none() -> Routes {
        let router = Router::build([]);
        Routes { router, by_name: HashTrieMapSync::default(), degraded: RedBlackTreeMapSync::new_sync() }
    }

    /// `touched`: services that routes have to be looked at again for.
    pub(super) fn next(
        &self,
        wanted: &Wanted<'_>,
        altered: &Altered,
        services: &Services,
        touched: &Touched,
    ) -> Routes {
        let mut next = self.clone();
        let mut moved = Moved::default();
        for (name, route) in affected(wanted, altered, touched) {
            let old = self.by_name.get(name);
            match route.and_then(|route| entry(wanted, route, services, old)) {
                Some(new) if old.is_some_and(|old| Arc::ptr_eq(old, &new)) => {}
                Some(new) => next.put(name, new, &mut moved),
                None => next.remove(name, old, &mut moved),
            }
        }
        next.reroute(moved);
        next
    }

    pub(super) fn router(&self) -> &Router<Arc<RouteEntry>> {
        &self.router
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<RouteEntry>> {
        self.by_name.get(name)
    }

    pub(super) fn degraded(&self) -> impl Iterator<Item = (&Name, &Degraded)> {
        self.degraded.iter()
    }

    fn put(&mut self, name: &Name, new: Arc<RouteEntry>, moved: &mut Moved) {
        match &new.chain {
            Ok(_) if self.degraded.is_empty() => {}
            Ok(_) => drop(self.degraded.remove_mut(name)),
            Err(reason) => self.degraded.insert_mut(name.clone(), reason.clone()),
        }
        self.by_name.insert_mut(name.clone(), Arc::clone(&new));
        moved.come.push(new);
    }

    fn remove(&mut self, name: &Name, old: Option<&Arc<RouteEntry>>, moved: &mut Moved) {
        self.degraded.remove_mut(name);
        self.by_name.remove_mut(name);
        moved.gone.extend(old.map(|old| Arc::clone(&old.name)));
    }

    fn reroute(&mut self, moved: Moved) {
        if moved.come.is_empty() && moved.gone.is_empty() {
            return;
        }
        let put = moved.come.into_iter().map(|entry| (Arc::clone(&entry.route), entry));
        self.router = self.router.changed(&moved.gone, put);
    }
}

/// What the router has to learn.
#[derive(Default)]
struct Moved {
    gone: HashSet<Arc<str>>,
    /// New ones, and other ones of names that are there.
    come: Vec<Arc<RouteEntry>>,
}

/// Routes whose entries may be others than before; without a route those that are gone.
fn affected<'w>(
    wanted: &'w Wanted<'_>,
    altered: &Altered,
    touched: &Touched,
) -> Vec<(&'w Name, Option<&'w Arc<Route>>)> {
    let changed = changes(&wanted.last.set.routes, &wanted.set.routes);
    let mut affected: Vec<_> = changed.iter().map(|change| (change.name, change.new)).collect();
    // What is broken on this node may have no change of its own.
    let mended = wanted.set.broken != wanted.last.set.broken;
    if touched.is_empty() && altered.is_nothing() && !mended {
        return affected;
    }
    let changed: HashSet<&Name, RandomState> = changed.iter().map(|change| change.name).collect();
    for (name, route) in &wanted.set.routes {
        let has_other_chain = || !route.chain.is_empty() && altered.concerns(&route.chain);
        if (mended || touched.contains(&route.service) || has_other_chain()) && !changed.contains(name) {
            affected.push((name, Some(route)));
        }
    }
    affected
}

/// The old one where it would be equal. A route whose service is not there has none.
fn entry(
    wanted: &Wanted<'_>,
    route: &Arc<Route>,
    services: &Services,
    old: Option<&Arc<RouteEntry>>,
) -> Option<Arc<RouteEntry>> {
    let service = services.get(&route.service)?;
    let chain = match (wanted.set.why_broken(route), route.chain.is_empty()) {
        (Some(reason), _) => Err(Degraded(reason.into())),
        (None, true) => service.chain.clone(),
        (None, false) => CompiledChain::compile(&wanted.set.route_chain(route), wanted.prepared),
    };
    // The same chain in the old entry keeps its identity: requests on their way hold it weakly.
    let chain = match (chain, old.map(|old| &old.chain)) {
        (Ok(new), Some(Ok(old))) if *new == **old => Ok(Arc::clone(old)),
        (chain, _) => chain,
    };
    if let Some(old) = old
        && Arc::ptr_eq(&old.service, &service.entry)
        && (Arc::ptr_eq(&old.route, route) || old.route == *route)
        && are_one(&old.chain, &chain)
    {
        return Some(Arc::clone(old));
    }
    Some(Arc::new(RouteEntry {
        name: route.name.shared(),
        route: Arc::clone(route),
        service: Arc::clone(&service.entry),
        chain,
        strip_path: route.strip_path,
        preserve_host: route.preserve_host,
    }))
}

pub(super) fn are_one(old: &Chain, new: &Chain) -> bool {
    match (old, new) {
        (Ok(old), Ok(new)) => Arc::ptr_eq(old, new),
        (Err(old), Err(new)) => old == new,
        _ => false,
    }
}
