//! The limiter as its callers see it, with a clock in the tests' hands.

mod bounds;
mod reference;
mod settling;
mod taking;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Algorithm, Ask, Capacity, Clock, Decision, Local, Rule, RuleSpec, Verdict};

/// A clock that goes when it is told to.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Clock for Hand {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Hand {
    /// At a whole hour.
    fn new() -> Hand {
        Hand(Arc::new(AtomicU64::new(500_000 * 3_600 * 1_000_000_000)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
    }
}

fn limiter() -> (Local, Hand) {
    let clock = Hand::new();
    (Local::with_clock(clock.clone(), Capacity::default()), clock)
}

fn per_minute(algorithm: Algorithm, limit: u64) -> RuleSpec {
    RuleSpec { algorithm, limit, window: Duration::from_secs(60), burst: 0 }
}

fn rule(limiter: &Local, algorithm: Algorithm, limit: u64) -> Rule {
    limiter.rule("test", per_minute(algorithm, limit)).expect("a valid rule")
}

fn take(limiter: &Local, rule: &Rule, key: &str, cost: u64) -> Verdict {
    limiter.take(&[Ask { rule, key: key.as_bytes(), cost }])
}

fn admitted(limiter: &Local, rule: &Rule, key: &str) -> bool {
    take(limiter, rule, key, 1).decision == Decision::Admitted
}

fn remaining(limiter: &Local, rule: &Rule, key: &str) -> u64 {
    take(limiter, rule, key, 0).standings[0].remaining
}

const ALL: [Algorithm; 3] = [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::TokenBucket];
