//! What is asked of a limiter, and what it says.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::Rule;

/// Wants `cost` permits of a rule for a key.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub rule: &'a Rule,
    /// What is counted apart: a consumer, an address, …; empty counts all together.
    pub key: &'a [u8],
    /// Permits wanted; 0 only looks and is always admitted.
    pub cost: u64,
}

/// Outcome for all asks together: either all were counted or none.
#[derive(Debug)]
pub struct Verdict {
    pub decision: Decision,
    /// Index of the ask that denied (of several, the one that denies longest), or of the one with
    /// the fewest permits left; 0 when nothing was asked.
    pub tightest: usize,
    /// How each ask stands now, in order.
    pub standings: SmallVec<[Standing; 4]>,
    /// Until the same asks can be admitted, if nobody else takes any; zero when they were. A cost
    /// that its rule can never admit gives the rule's window.
    pub retry_after: Duration,
    /// What was counted; empty unless admitted.
    pub taken: Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Admitted,
    Denied,
    /// The store that counts is away, and the operator's setting is to refuse.
    Unavailable,
}

/// One counter, seen from its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Permits of a whole counter: the limit, or the burst of a token bucket.
    pub limit: u64,
    /// Permits left.
    pub remaining: u64,
    /// Until the counter is whole again; zero when it is.
    pub reset_after: Duration,
}

/// What one [`Verdict`] counted, for [`Local::commit`](crate::Local::commit) or
/// [`Local::refund`](crate::Local::refund): one of them, once. Dropping it leaves the count as it is.
#[derive(Debug, Default)]
pub struct Taken {
    /// When, by the limiter's clock, in nanoseconds.
    pub(crate) at: u64,
    pub(crate) parts: SmallVec<[Part; 2]>,
}

#[derive(Debug)]
pub(crate) struct Part {
    pub rule: Rule,
    pub key: Arc<[u8]>,
    pub hash: u64,
    pub cost: u64,
}

impl Taken {
    /// Nothing was counted: there is nothing to settle.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
