//! What stands under one key of one rule. All times are nanoseconds of the limiter's clock.

mod fixed_window;
mod sliding_window;
mod token_bucket;

use fixed_window::FixedWindow;
use sliding_window::SlidingWindow;
use token_bucket::TokenBucket;

use crate::Algorithm;
use crate::rule::Terms;

#[derive(Debug)]
pub(crate) enum Counter {
    Fixed(FixedWindow),
    /// Boxed: it is five times the size of the others.
    Sliding(Box<SlidingWindow>),
    Bucket(TokenBucket),
}

/// Why a cost can't be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub retry_after: u64,
}

impl Counter {
    /// A whole one.
    pub fn new(algorithm: Algorithm) -> Counter {
        match algorithm {
            Algorithm::FixedWindow => Counter::Fixed(FixedWindow::default()),
            Algorithm::SlidingWindow => Counter::Sliding(Box::default()),
            Algorithm::TokenBucket => Counter::Bucket(TokenBucket::default()),
        }
    }

    /// Whether `cost` permits could be taken now. There is no counter while nothing is counted.
    pub fn check(counter: Option<&Counter>, terms: &Terms, now: u64, cost: u64) -> Result<(), Denied> {
        if cost == 0 {
            return Ok(());
        }
        if cost > terms.capacity {
            return Err(Denied { retry_after: terms.window });
        }
        let wait = match counter {
            None => None,
            Some(Counter::Fixed(c)) => c.wait(terms, now, cost),
            Some(Counter::Sliding(c)) => c.wait(terms, now, cost),
            Some(Counter::Bucket(c)) => c.wait(terms, now, cost),
        };
        // At least a nanosecond: a denial that says "retry at once" would be retried for ever.
        wait.map_or(Ok(()), |ns| Err(Denied { retry_after: ns.max(1) }))
    }

    /// Takes `permits` now, whether they are there or not.
    pub fn charge(&mut self, terms: &Terms, now: u64, permits: u64) {
        match self {
            Counter::Fixed(c) => c.charge(terms, now, permits),
            Counter::Sliding(c) => c.charge(terms, now, permits),
            Counter::Bucket(c) => c.charge(terms, now, permits),
        }
    }

    /// Gives back `permits` that were taken at `at`, as far as they have not come back by themselves.
    pub fn give_back(&mut self, terms: &Terms, now: u64, at: u64, permits: u64) {
        match self {
            Counter::Fixed(c) => c.give_back(terms, now, at, permits),
            Counter::Sliding(c) => c.give_back(terms, now, at, permits),
            Counter::Bucket(c) => c.give_back(terms, now, at, permits),
        }
    }

    /// Until it is whole again.
    pub fn reset_after(&self, terms: &Terms, now: u64) -> u64 {
        match self {
            Counter::Fixed(c) => c.reset_after(now),
            Counter::Sliding(c) => c.reset_after(terms, now),
            Counter::Bucket(c) => c.reset_after(terms, now),
        }
    }

    pub fn remaining(&self, terms: &Terms, now: u64) -> u64 {
        match self {
            Counter::Fixed(c) => terms.capacity.saturating_sub(c.used(now)),
            Counter::Sliding(c) => terms.capacity.saturating_sub(c.used(terms, now)),
            Counter::Bucket(c) => c.remaining(terms, now),
        }
    }
}
