//! Routes that were indexed together.

use std::sync::Arc;

use super::RouteMatch;
use super::order::{self, Alternative};
use super::pattern_tree::PatternTree;
use super::search::{Candidate, Rank, Search};
use super::table::Table;
use super::text_map::TextMap;
use crate::condition::RequestFacts;
use crate::entity::{HostPattern, Route};

/// Made once, never changed.
#[derive(Debug)]
pub(super) struct Index<V> {
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
    /// By name.
    routes: Vec<Arc<Route>>,
    /// What the candidates are, by rank.
    origins: Vec<Origin>,
}

/// A pair of a route's patterns, by their places.
#[derive(Clone, Copy, Debug)]
struct Origin {
    route: u32,
    /// [`NONE`] where the route states none.
    host: u32,
    path: u32,
}

/// Routes of an index that are not to be found there any more, by their places.
#[derive(Clone, Debug, Default)]
pub(super) struct Gone {
    /// A bit each.
    places: Vec<u64>,
    count: usize,
}

/// What was found.
pub(super) struct Found<'i, V> {
    index: &'i Index<V>,
    rank: Rank,
    prefix: usize,
}

impl<V: Clone> Index<V> {
    pub(super) fn of(mut routes: Vec<(Arc<Route>, V)>) -> Index<V> {
        routes.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let (routes, values): (Vec<Arc<Route>>, Vec<V>) = routes.into_iter().unzip();
        let alternatives = order::ranked(&routes);
        let mut index = Index {
            candidates: Vec::with_capacity(alternatives.len()),
            hosts: TextMap::default(),
            wildcards: TextMap::default(),
            longest_wildcard: 0,
            best_wildcard: Rank::NONE,
            any_host: Table::default(),
            patterns: PatternTree::default(),
            routes: Vec::new(),
            origins: alternatives.iter().map(Origin::of).collect(),
        };
        // Worst first: each new candidate then heads its bucket, and is the best of all it belongs to.
        for (place, alternative) in alternatives.iter().enumerate().rev() {
            index.insert(Rank::at(place), alternative, values[alternative.index as usize].clone());
        }
        index.candidates.reverse();
        index.patterns.shrink();
        drop(alternatives);
        index.routes = routes;
        index
    }

    /// All but those that are gone.
    pub(super) fn routes(&self, gone: &Gone) -> Vec<(Arc<Route>, V)> {
        // A route has one pair at least.
        let mut values: Vec<Option<&V>> = vec![None; self.routes.len()];
        for (candidate, origin) in self.candidates.iter().zip(&self.origins) {
            values[origin.route as usize] = Some(candidate.value());
        }
        let routes = self.routes.iter().zip(values).enumerate().filter(|(place, _)| !gone.has(*place));
        routes.filter_map(|(_, (route, value))| Some((Arc::clone(route), value?.clone()))).collect()
    }

    fn insert(&mut self, rank: Rank, alternative: &Alternative<'_>, value: V) {
        let table = match alternative.host {
            None => &mut self.any_host,
            Some((_, HostPattern::Exact(host))) => self.hosts.slot(host, Table::default),
            Some((_, HostPattern::Wildcard(suffix))) => {
                self.longest_wildcard = self.longest_wildcard.max(suffix.len());
                self.best_wildcard = rank;
                self.wildcards.slot(suffix, Table::default)
            }
        };
        let next = table.insert(&mut self.patterns, rank, alternative);
        self.candidates.push(Candidate::new(alternative, value, next));
    }
}

impl<V> Index<V> {
    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }

    /// The place of a route.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.routes.binary_search_by(|route| route.name.as_str().cmp(name)).ok()
    }

    /// The first of all that match and are not gone.
    pub(super) fn find(&self, facts: &impl RequestFacts, gone: Option<&Gone>) -> Option<Found<'_, V>> {
        let is_gone = gone.map(|gone| move |rank: Rank| gone.has(self.origins[rank.place()].route as usize));
        let mut search =
            Search::new(facts, &self.candidates, is_gone.as_ref().map(|is_gone| is_gone as &dyn Fn(Rank) -> bool));
        if let Some(table) = self.hosts.get(facts.host()) {
            table.search(&self.patterns, &mut search);
        }
        self.search_wildcards(&mut search);
        self.any_host.search(&self.patterns, &mut search);
        search.found().map(|(rank, prefix)| Found { index: self, rank, prefix })
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

    fn alternative(&self, rank: Rank) -> Alternative<'_> {
        let Origin { route: index, host, path } = self.origins[rank.place()];
        let route = &self.routes[index as usize];
        let host = route.hosts.get(host as usize).map(|pattern| (host as usize, pattern));
        let path = route.paths.get(path as usize).map(|pattern| (path as usize, pattern));
        Alternative { route, index, host, path }
    }
}

impl<'i, V> Found<'i, V> {
    /// By the documented order, of two that different indexes found.
    pub(super) fn comes_before(&self, other: &Found<'_, V>) -> bool {
        order::compare(&self.index.alternative(self.rank), &other.index.alternative(other.rank)).is_lt()
    }

    pub(super) fn route_match(&self) -> RouteMatch<'i, V> {
        RouteMatch { route: self.index.candidates[self.rank.place()].value(), matched_prefix: self.prefix }
    }
}

impl Origin {
    fn of(alternative: &Alternative<'_>) -> Origin {
        let place = |place: Option<usize>| place.map_or(NONE, |place| place as u32);
        let (host, path) = (alternative.host.map(|(host, _)| host), alternative.path.map(|(path, _)| path));
        Origin { route: alternative.index, host: place(host), path: place(path) }
    }
}

impl Gone {
    pub(super) fn add(&mut self, place: usize) {
        if !self.has(place) {
            let word = place / BITS;
            self.places.resize(self.places.len().max(word + 1), 0);
            self.places[word] |= 1 << (place % BITS);
            self.count += 1;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn has(&self, place: usize) -> bool {
        self.places.get(place / BITS).is_some_and(|word| word >> (place % BITS) & 1 == 1)
    }
}

/// No list is as long.
const NONE: u32 = u32::MAX;
const BITS: usize = u64::BITS as usize;
