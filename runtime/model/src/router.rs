//! Which route serves a request: a pure function of the routes and the request.
//!
//! # The order
//!
//! Of all routes that match a request the first in this order serves it. Every tie is decided; the
//! order in which routes are listed never matters.
//!
//! 1. **Priority**: the higher `priority`.
//! 2. **Host**: an exact host, then a wildcard (the longer suffix first), then none stated.
//! 3. **Path**, compared from the left, segment by segment, whatever kind of pattern it is: fixed
//!    text, then a parameter with fixed text around it (more fixed text first, then more of it in
//!    front), then a plain parameter, then `{*rest}`, then the open end of a prefix. So an exact path
//!    comes before all others, `/users/{id}` before the prefix `/users`, a longer prefix before a
//!    shorter one, and the prefix `/admin` before `/{*rest}` and before `/{tenant}/settings`.
//!    After all of these come regular expressions (the longer text first), then none stated.
//! 4. **Conditions**: methods stated before not stated, then more headers, then more query parameters.
//! 5. **Name**: alphabetically.
//!
//! A route with several hosts or paths counts with the best of those that match the request.
//!
//! # How it is found
//!
//! Each pair of a host and a path that a route states is a candidate. The order above does not depend
//! on the request, so the candidates are sorted once and a candidate's place is its [`Rank`]: the
//! winner is the smallest rank that matches. A lookup walks hash maps and a tree down to the few
//! buckets that can match, and leaves out every part whose best rank can't beat what it has found.
//! So the order of the walk is a matter of speed only, and the rank alone decides.
//!
//! # How it changes
//!
//! A changed router shares the index of the one before: routes that are gone are marked there, those that came are in
//! a small index of their own, and of what both find the first in the order wins. Once there are too many of them
//! everything is indexed anew.
//!
//! Invariants
//! - A lookup allocates nothing (but for doubled braces, in the moments after a change). It costs a few hash lookups, however many routes there are; only
//!   regular expressions of the same host, routes that differ in method, header or query alone, and
//!   parameters with text around them beside each other are tried one by one.
//! - Besides the routes themselves 100,000 paths take about 100 bytes each, 270 where each has its own
//!   host, 340 where they have parameters.

mod candidates;
mod index;
mod order;
mod pattern_tree;
mod search;
mod table;
mod text_map;

use std::collections::HashSet;
use std::sync::Arc;

use crate::condition::RequestFacts;
use crate::entity::Route;
pub use candidates::{Candidates, Considered, Decided, Miss, candidates};
use index::{Gone, Index};

/// Finds the route of a request. `V` is what the data plane keeps for a route. Immutable, and cheap to copy.
#[derive(Debug)]
pub struct Router<V> {
    base: Arc<Index<V>>,
    /// Since the base was made.
    changes: Option<Arc<Changes<V>>>,
}

#[derive(Debug)]
struct Changes<V> {
    /// Routes of the base.
    gone: Gone,
    come: Index<V>,
}

/// A found route and what its path matched.
#[derive(Debug, PartialEq)]
pub struct RouteMatch<'r, V> {
    pub route: &'r V,
    /// Length of the path's part that a prefix pattern matched (for `strip_path`); 0 otherwise, and
    /// for the prefix `/`.
    pub matched_prefix: usize,
}

impl<V: Clone> Router<V> {
    /// Sorts and indexes the routes, O(n log n). Each name is there once.
    pub fn build(routes: impl IntoIterator<Item = (Arc<Route>, V)>) -> Router<V> {
        Router { base: Arc::new(Index::of(routes.into_iter().collect())), changes: None }
    }

    /// Without the routes of these names, and with others; one whose name is there already takes its place. Takes
    /// time by how many routes changed since all were indexed; now and then that is done again.
    #[must_use]
    pub fn changed(&self, removed: &HashSet<Arc<str>>, put: impl IntoIterator<Item = (Arc<Route>, V)>) -> Router<V> {
        let put: Vec<(Arc<Route>, V)> = put.into_iter().collect();
        let names = put.iter().map(|(route, _)| route.name.as_str());
        let replaced: HashSet<&str> = names.chain(removed.iter().map(|name| &**name)).collect();
        let mut gone = self.changes.as_ref().map_or_else(Gone::default, |changes| changes.gone.clone());
        replaced.iter().filter_map(|name| self.base.position(name)).for_each(|route| gone.add(route));
        let mut come = self.changes.as_ref().map_or_else(Vec::new, |changes| changes.come.routes(&Gone::default()));
        come.retain(|(route, _)| !replaced.contains(route.name.as_str()));
        come.extend(put);
        if gone.count() + come.len() > LEAST_CHANGES.max(self.base.len() / ROUTES_PER_CHANGE) {
            return Router::build(self.base.routes(&gone).into_iter().chain(come));
        }
        let changes = Changes { gone, come: Index::of(come) };
        Router { base: Arc::clone(&self.base), changes: Some(Arc::new(changes)) }
    }

    /// The first of all matching routes in the [order](self); `None` where none matches.
    pub fn find(&self, facts: &impl RequestFacts) -> Option<RouteMatch<'_, V>> {
        let Some(changes) = &self.changes else { return self.base.find(facts, None).map(|found| found.route_match()) };
        let (old, new) = (self.base.find(facts, Some(&changes.gone)), changes.come.find(facts, None));
        let first = match (old, new) {
            (Some(old), Some(new)) if new.comes_before(&old) => Some(new),
            (old, new) => old.or(new),
        };
        first.map(|found| found.route_match())
    }
}

impl<V> Clone for Router<V> {
    fn clone(&self) -> Router<V> {
        Router { base: Arc::clone(&self.base), changes: self.changes.clone() }
    }
}

/// Changes beside a base before everything is indexed anew: so many, or one for each so many of its routes. Few in
/// tests, so that they come past it.
const LEAST_CHANGES: usize = if cfg!(test) { 12 } else { 256 };
const ROUTES_PER_CHANGE: usize = 100;

#[cfg(test)]
mod comparison;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(any(test, fuzzing))]
mod reference;
#[cfg(test)]
mod tests;
