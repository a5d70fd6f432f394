//! The paths of one host.

use std::mem;
use std::sync::Arc;

use super::order::Alternative;
use super::pattern_tree::{NodeId, PatternTree};
use super::search::{Rank, Search};
use super::text_map::TextMap;
use crate::condition::RequestFacts;
use crate::entity::{PathPattern, Route};

/// All candidates with the same host, by kind of path.
#[derive(Debug)]
pub(super) struct Table {
    best: Rank,
    exact: TextMap<Rank>,
    parameters: Option<NodeId>,
    prefixes: Prefixes,
    /// In falling rank.
    regexes: Vec<RegexPath>,
    any_path: Rank,
}

/// Buckets by prefix; the root is the empty text.
#[derive(Debug)]
struct Prefixes {
    buckets: TextMap<Rank>,
    /// In bytes.
    longest: usize,
    best: Rank,
}

/// A regular expression in its route: a clone would have to warm its own caches.
#[derive(Debug)]
struct RegexPath {
    rank: Rank,
    route: Arc<Route>,
    path: usize,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            best: Rank::NONE,
            exact: TextMap::default(),
            parameters: None,
            prefixes: Prefixes { buckets: TextMap::default(), longest: 0, best: Rank::NONE },
            regexes: Vec::new(),
            any_path: Rank::NONE,
        }
    }
}

impl Table {
    /// Puts a candidate in front of its bucket; returns the bucket's former front. The rank must be
    /// better than any in the table.
    pub(super) fn insert(&mut self, patterns: &mut PatternTree, rank: Rank, alternative: &Alternative<'_>) -> Rank {
        self.best = rank;
        let front = match alternative.path {
            None => &mut self.any_path,
            Some((_, PathPattern::Exact(path))) => self.exact.slot(path, || Rank::NONE),
            Some((_, PathPattern::Prefix(prefix))) => self.prefixes.slot(prefix, rank),
            Some((_, PathPattern::Parameters(pattern))) => {
                let root = *self.parameters.get_or_insert_with(|| patterns.plant());
                patterns.slot(root, pattern, rank)
            }
            Some((path, PathPattern::Regex(_))) => {
                self.regexes.push(RegexPath { rank, route: Arc::clone(alternative.route), path });
                return Rank::NONE;
            }
        };
        mem::replace(front, rank)
    }

    pub(super) fn search<V>(&self, patterns: &PatternTree, search: &mut Search<'_, '_, impl RequestFacts, V>) {
        if !search.beaten_by(self.best) {
            return;
        }
        if let Some(bucket) = self.exact.get(search.facts.path()) {
            search.consider(*bucket, 0);
        }
        if let Some(root) = self.parameters {
            patterns.search(root, search);
        }
        self.prefixes.search(search);
        self.search_regexes(search);
        search.consider(self.any_path, 0);
    }

    fn search_regexes<V>(&self, search: &mut Search<'_, '_, impl RequestFacts, V>) {
        for regex in self.regexes.iter().rev() {
            if !search.beaten_by(regex.rank) {
                return;
            }
            search.consider_if(regex.rank, |path| regex.route.paths[regex.path].matches(path));
        }
    }
}

impl Prefixes {
    fn slot(&mut self, prefix: &str, rank: Rank) -> &mut Rank {
        let prefix = prefix.trim_end_matches('/');
        self.longest = self.longest.max(prefix.len());
        self.best = rank;
        self.buckets.slot(prefix, || Rank::NONE)
    }

    /// Tries every part of the path that ends at a segment border, from the longest that can be a
    /// prefix to the root. Shorter ones may still win, by priority.
    fn search<V>(&self, search: &mut Search<'_, '_, impl RequestFacts, V>) {
        let path = search.facts.path();
        let mut end = if path.len() <= self.longest { path.len() } else { border(path, self.longest + 1) };
        while search.beaten_by(self.best) {
            if let Some(bucket) = self.buckets.get(&path[..end]) {
                search.consider(*bucket, end);
            }
            if end == 0 {
                return;
            }
            end = border(path, end);
        }
    }
}

/// The last slash before `end`; the path's start where there is none.
fn border(path: &str, end: usize) -> usize {
    path.as_bytes()[..end].iter().rposition(|byte| *byte == b'/').unwrap_or(0)
}
