use std::sync::Arc;

use super::order::Alternative;
use crate::condition::RequestFacts;
use crate::entity::Route;

/// A candidate's place in the order of all candidates: the smaller wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u32);

impl Rank {
    /// After every candidate: the best of nothing.
    pub(super) const NONE: Rank = Rank(u32::MAX);

    pub(super) fn at(place: usize) -> Rank {
        Rank(u32::try_from(place).expect("four billion pairs of host and path do not fit into memory"))
    }

    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}

/// A pair of host and path of a route. A bucket, all candidates with the same host and path, is
/// known by its best one; the others follow in rising rank.
#[derive(Debug)]
pub(super) struct Candidate<V> {
    /// Of its route. Here and not in a table of routes, which would be one more place in memory to go to.
    value: V,
    next: Rank,
    /// Kept only where methods, headers or query are to be checked, so that most lookups never
    /// touch the route's memory.
    conditions: Option<Arc<Route>>,
}

impl<V> Candidate<V> {
    pub(super) fn new(alternative: &Alternative<'_>, value: V, next: Rank) -> Candidate<V> {
        let route = alternative.route;
        let conditional = !(route.methods.is_empty() && route.headers.is_empty() && route.query.is_empty());
        Candidate { value, next, conditions: conditional.then(|| Arc::clone(route)) }
    }

    pub(super) fn value(&self) -> &V {
        &self.value
    }

    fn admits(&self, facts: &impl RequestFacts) -> bool {
        self.conditions.as_ref().is_none_or(|route| {
            (route.methods.is_empty() || route.methods.contains(facts.method()))
                && route.headers.iter().all(|header| header.matches(facts.headers()))
                && route.query.iter().all(|parameter| parameter.matches(facts.query()))
        })
    }
}

/// One lookup: the best candidate so far.
pub(super) struct Search<'f, 'c, F, V> {
    pub(super) facts: &'f F,
    candidates: &'c [Candidate<V>],
    /// Candidates that don't count, if there are any.
    is_gone: Option<&'c dyn Fn(Rank) -> bool>,
    best: Rank,
    prefix: usize,
}

impl<'f, 'c, F: RequestFacts, V> Search<'f, 'c, F, V> {
    pub(super) fn new(facts: &'f F, candidates: &'c [Candidate<V>], is_gone: Option<&'c dyn Fn(Rank) -> bool>) -> Self {
        Search { facts, candidates, is_gone, best: Rank::NONE, prefix: 0 }
    }

    /// Whether a part with this best rank is worth a look.
    pub(super) fn beaten_by(&self, rank: Rank) -> bool {
        rank < self.best
    }

    /// Takes the first candidate of a bucket that admits the request, if it beats the best so far.
    pub(super) fn consider(&mut self, bucket: Rank, prefix: usize) {
        let mut at = bucket;
        while self.beaten_by(at) {
            let candidate = &self.candidates[at.place()];
            if candidate.admits(self.facts) && self.counts(at) {
                (self.best, self.prefix) = (at, prefix);
            }
            at = candidate.next;
        }
    }

    /// As [`consider`](Self::consider) for one candidate whose path still has to be checked, which
    /// is the dear part.
    pub(super) fn consider_if(&mut self, rank: Rank, path_matches: impl FnOnce(&str) -> bool) {
        let admits = |rank: Rank| self.candidates[rank.place()].admits(self.facts) && self.counts(rank);
        if self.beaten_by(rank) && admits(rank) && path_matches(self.facts.path()) {
            (self.best, self.prefix) = (rank, 0);
        }
    }

    fn counts(&self, rank: Rank) -> bool {
        self.is_gone.is_none_or(|is_gone| !is_gone(rank))
    }

    /// With the length of the prefix that matched.
    pub(super) fn found(&self) -> Option<(Rank, usize)> {
        (self.best != Rank::NONE).then_some((self.best, self.prefix))
    }
}
