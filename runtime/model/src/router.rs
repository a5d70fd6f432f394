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
//! Invariants
//! - A lookup allocates nothing. It costs a few hash lookups, however many routes there are; only
//!   regular expressions of the same host, routes that differ in method, header or query alone, and
//!   parameters with text around them beside each other are tried one by one.
//! - Besides the routes themselves 100,000 paths take about 80 bytes each, 250 where each has its own
//!   host, 320 where they have parameters.

mod candidates;
mod order;
mod pattern_tree;
mod search;
mod table;
mod text_map;

use std::sync::Arc;

use crate::condition::RequestFacts;
use crate::entity::{HostPattern, Route};
pub use candidates::{Candidates, Considered, Decided, Miss, candidates};
use order::Alternative;
use pattern_tree::PatternTree;
use search::{Candidate, Rank, Search};
use table::Table;
use text_map::TextMap;

/// Finds the route of a request. Built once per snapshot; `V` is what the data plane keeps for a
/// route.
#[derive(Debug)]
pub struct Router<V> {
    /// By rank.
    candidates: Vec<Candidate<V>>,
    hosts: TextMap<Table>,
    /// By suffix with its leading dot.
    wildcards: TextMap<Table>,
    /// In bytes.
    longest_wildcard: usize,
    best_wildcard: Rank,
    any_host: Table,
    /// Paths with parameters, those of all hosts.
    patterns: PatternTree,
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
    /// Sorts and indexes the routes, O(n log n).
    pub fn build(routes: impl IntoIterator<Item = (Arc<Route>, V)>) -> Router<V> {
        let (routes, values): (Vec<Arc<Route>>, Vec<V>) = routes.into_iter().unzip();
        let alternatives = order::ranked(&routes);
        let mut router = Router {
            candidates: Vec::with_capacity(alternatives.len()),
            hosts: TextMap::default(),
            wildcards: TextMap::default(),
            longest_wildcard: 0,
            best_wildcard: Rank::NONE,
            any_host: Table::default(),
            patterns: PatternTree::default(),
        };
        // Worst first: each new candidate then heads its bucket, and is the best of all it belongs to.
        for (place, alternative) in alternatives.iter().enumerate().rev() {
            router.insert(Rank::at(place), alternative, values[alternative.index as usize].clone());
        }
        router.candidates.reverse();
        router.patterns.shrink();
        router
    }

    /// The first of all matching routes in the [order](self); `None` where none matches.
    pub fn find(&self, facts: &impl RequestFacts) -> Option<RouteMatch<'_, V>> {
        let mut search = Search::new(facts, &self.candidates);
        if let Some(table) = self.hosts.get(facts.host()) {
            table.search(&self.patterns, &mut search);
        }
        self.search_wildcards(&mut search);
        self.any_host.search(&self.patterns, &mut search);
        search.found().map(|found| RouteMatch { route: found.value, matched_prefix: found.prefix })
    }

    fn insert(&mut self, rank: Rank, alternative: &Alternative<'_>, value: V) {
        let table = match alternative.host {
            None => &mut self.any_host,
            Some(HostPattern::Exact(host)) => self.hosts.slot(host, Table::default),
            Some(HostPattern::Wildcard(suffix)) => {
                self.longest_wildcard = self.longest_wildcard.max(suffix.len());
                self.best_wildcard = rank;
                self.wildcards.slot(suffix, Table::default)
            }
        };
        let next = table.insert(&mut self.patterns, rank, alternative);
        self.candidates.push(Candidate::new(alternative, value, next));
    }

    /// Longer suffixes first. A wildcard stands for one label at least, so the host's own first byte
    /// is no place for its dot.
    fn search_wildcards(&self, search: &mut Search<'_, '_, impl RequestFacts, V>) {
        let host = search.facts.host();
        let shortest_front = host.len().saturating_sub(self.longest_wildcard).max(1);
        for (dot, _) in host.match_indices('.').filter(|(dot, _)| *dot >= shortest_front) {
            if !search.beaten_by(self.best_wildcard) {
                return;
            }
            if let Some(table) = self.wildcards.get(&host[dot..]) {
                table.search(&self.patterns, search);
            }
        }
    }
}

#[cfg(test)]
mod comparison;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(any(test, fuzzing))]
mod reference;
#[cfg(test)]
mod tests;
