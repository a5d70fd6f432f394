//! Counts. The plugin decides what to count, the gateway does the counting: in its process, or for
//! the whole cluster.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::host::limiter as host;
use crate::value::raw;
use crate::{Problem, Value};

pub use crate::host::limiter::Ask;

/// How permits come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Counts from the start of windows aligned to the Unix epoch.
    FixedWindow,
    /// Never admits more than the limit in any window, may admit a little less.
    #[default]
    SlidingWindow,
    /// A bucket of `burst` tokens, refilled at `limit` per `window`.
    TokenBucket,
}

/// What a limit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Names the counter within the plugin; a later configuration with the same name goes on
    /// counting where the earlier one stopped.
    pub name: String,
    pub algorithm: Algorithm,
    /// Permits per window, at least 1.
    pub limit: u64,
    /// At least a millisecond.
    pub window: Duration,
    /// Size of the token bucket; 0 means `limit`. Ignored otherwise.
    pub burst: u64,
}

impl Rule {
    /// Defines the limit. In `configure` only, traps otherwise.
    ///
    /// # Errors
    /// What the gateway says is wrong with it.
    pub fn define(&self) -> Result<Limit, Problem> {
        let rule = host::Rule {
            name: self.name.clone(),
            algorithm: match self.algorithm {
                Algorithm::FixedWindow => host::Algorithm::FixedWindow,
                Algorithm::SlidingWindow => host::Algorithm::SlidingWindow,
                Algorithm::TokenBucket => host::Algorithm::TokenBucket,
            },
            limit: self.limit,
            window: u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX),
            burst: self.burst,
        };
        host::define(&rule).map(Limit).map_err(|message| Problem::at("", message))
    }
}

/// A defined limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit(host::RuleId);

impl Limit {
    /// Asks for `cost` permits (0 only looks) of the counter of `key`: a consumer, an address, …;
    /// without one, of the counter of all together.
    pub fn ask(self, key: Option<Value>, cost: u64) -> Ask {
        Ask { rule: self.0, key: raw(key), cost }
    }
}

/// Takes permits for all asks, or for none. May wait for the counting store.
pub fn take(asks: &[Ask]) -> Verdict {
    let verdict = host::take(asks);
    Verdict {
        decision: match verdict.decision {
            host::Decision::Admitted => Decision::Admitted,
            host::Decision::Denied => Decision::Denied,
            host::Decision::Unavailable => Decision::Unavailable,
        },
        tightest: verdict.tightest as usize,
        limit: verdict.limit,
        remaining: verdict.remaining,
        reset_after: Duration::from_millis(verdict.reset_after),
        retry_after: Duration::from_millis(verdict.retry_after),
        reservation: NonZeroU64::new(verdict.reservation).map(Reservation),
    }
}

/// How each ask of this hook's last [`take`] stands, in order.
pub fn standings() -> impl ExactSizeIterator<Item = Standing> {
    host::standings().into_iter().map(|standing| Standing {
        limit: standing.limit,
        remaining: standing.remaining,
        reset_after: Duration::from_millis(standing.reset_after),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Admitted,
    Denied,
    /// The store that counts is away and the operator's setting is to refuse.
    Unavailable,
}

/// Outcome for all asks together.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    pub decision: Decision,
    /// Index of the ask that is nearest to its limit, or that denied.
    pub tightest: usize,
    pub limit: u64,
    /// Permits left under the tightest ask.
    pub remaining: u64,
    /// Until the tightest ask's limit is whole again.
    pub reset_after: Duration,
    /// Until the same asks can be admitted; zero when they were.
    pub retry_after: Duration,
    /// What was counted, when anything was.
    pub reservation: Option<Reservation>,
}

/// One ask of a [`take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: u64,
    pub remaining: u64,
    pub reset_after: Duration,
}

/// Permits taken for a request, to be settled later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation(NonZeroU64);

impl Reservation {
    /// Settles the cost when it is known only later: `cost` permits in all for each ask, more or
    /// fewer than were taken. May bring a counter over its limit. May wait.
    pub fn commit(self, cost: u64) {
        host::commit(self.0.get(), cost);
    }

    /// Gives the permits back. May wait.
    pub fn refund(self) {
        host::refund(self.0.get());
    }

    /// Its number, to keep in [`context`](crate::context) for a later hook of the same request.
    pub fn number(self) -> u64 {
        self.0.get()
    }

    pub fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}
