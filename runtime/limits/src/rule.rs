//! Rules: the algorithm, the permits and the window.

use std::sync::Arc;
use std::time::Duration;

use crate::Standing;
use crate::lineage::Lineage;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Counts from the start of windows aligned to the Unix epoch.
    FixedWindow,
    /// Counts over sub-buckets, the oldest one whole: never admits more than the limit in any
    /// window, may admit a little less.
    SlidingWindow,
    /// A bucket of `burst` tokens, refilled at `limit` per `window` (GCRA).
    TokenBucket,
}

/// A rule as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSpec {
    pub algorithm: Algorithm,
    /// Permits per window, 1 to 2⁶³ - 1.
    pub limit: u64,
    /// 1 ms to 10 years.
    pub window: Duration,
    /// Token bucket: its size, up to 2⁶³ - 1; 0 means `limit`. Ignored otherwise.
    pub burst: u64,
}

/// Why a [`RuleSpec`] can't be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    #[error("the limit is 0: a rule admits at least 1 per window")]
    NoPermits,
    #[error("the limit or the burst is over 2^63 - 1")]
    TooManyPermits,
    #[error("the window is shorter than 1 ms")]
    WindowTooShort,
    #[error("the window is longer than 10 years")]
    WindowTooLong,
}

/// A defined rule: a handle, cheap to clone. Rules of one lineage (same identity, algorithm and
/// window) count on the same counters.
#[derive(Clone, Debug)]
pub struct Rule(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    terms: Terms,
    lineage: Arc<Lineage>,
}

/// A rule's numbers, as the counters need them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub algorithm: Algorithm,
    pub limit: u64,
    /// Nanoseconds.
    pub window: u64,
    /// Permits of a whole counter.
    pub capacity: u64,
}

impl Rule {
    pub(crate) fn new(terms: Terms, lineage: Arc<Lineage>) -> Rule {
        Rule(Arc::new(Inner { terms, lineage }))
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.0.terms
    }

    pub(crate) fn lineage(&self) -> u64 {
        self.0.lineage.id()
    }
}

impl Terms {
    /// How it stands while nothing is counted.
    pub fn whole(&self) -> Standing {
        Standing { limit: self.capacity, remaining: self.capacity, reset_after: Duration::ZERO }
    }
}

impl TryFrom<RuleSpec> for Terms {
    type Error = InvalidRule;

    fn try_from(spec: RuleSpec) -> Result<Terms, InvalidRule> {
        if spec.limit == 0 {
            return Err(InvalidRule::NoPermits);
        }
        if spec.limit.max(spec.burst) > MOST_PERMITS {
            return Err(InvalidRule::TooManyPermits);
        }
        if spec.window < SHORTEST_WINDOW {
            return Err(InvalidRule::WindowTooShort);
        }
        if spec.window > LONGEST_WINDOW {
            return Err(InvalidRule::WindowTooLong);
        }
        let capacity = match spec.algorithm {
            Algorithm::TokenBucket if spec.burst > 0 => spec.burst,
            _ => spec.limit,
        };
        // Ten years of nanoseconds take 59 bits.
        let window = spec.window.as_nanos() as u64;
        Ok(Terms { algorithm: spec.algorithm, limit: spec.limit, window, capacity })
    }
}

/// Half of the range: a sum of costs that saturates is then over every limit.
const MOST_PERMITS: u64 = u64::MAX >> 1;
const SHORTEST_WINDOW: Duration = Duration::from_millis(1);
const LONGEST_WINDOW: Duration = Duration::from_secs(10 * 366 * 86_400);
