use crate::rule::Terms;

/// The generic cell rate algorithm in its leaky-bucket form (ITU-T I.371, annex A, "continuous-state
/// leaky bucket"; it decides exactly as the virtual-scheduling form with a theoretical arrival time).
///
/// The level is kept in permits × window, so that nothing is ever rounded: a permit adds `window`, a
/// nanosecond drains `limit`, and the bucket holds `burst × window`.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket {
    /// As it stood at `at`; over the bucket's size only after a commit.
    level: u128,
    at: u64,
}

impl TokenBucket {
    pub fn wait(&self, terms: &Terms, now: u64, cost: u64) -> Option<u64> {
        let over = (self.level_at(terms, now) + weight(terms, cost)).saturating_sub(size(terms));
        (over > 0).then(|| drain_time(terms, over))
    }

    pub fn remaining(&self, terms: &Terms, now: u64) -> u64 {
        let free = size(terms).saturating_sub(self.level_at(terms, now));
        // No more than the capacity, so it fits.
        divide(free, terms.window) as u64
    }

    pub fn reset_after(&self, terms: &Terms, now: u64) -> u64 {
        drain_time(terms, self.level_at(terms, now))
    }

    pub fn charge(&mut self, terms: &Terms, now: u64, permits: u64) {
        self.set(now, self.level_at(terms, now).saturating_add(weight(terms, permits)));
    }

    /// What may have drained since is not given back once more.
    pub fn give_back(&mut self, terms: &Terms, now: u64, at: u64, permits: u64) {
        let left = weight(terms, permits).saturating_sub(drained(terms, now.saturating_sub(at)));
        self.set(now, self.level_at(terms, now).saturating_sub(left));
    }

    fn set(&mut self, now: u64, level: u128) {
        *self = TokenBucket { level, at: now.max(self.at) };
    }

    fn level_at(&self, terms: &Terms, now: u64) -> u128 {
        self.level.saturating_sub(drained(terms, now.saturating_sub(self.at)))
    }
}

fn weight(terms: &Terms, permits: u64) -> u128 {
    u128::from(permits) * u128::from(terms.window)
}

fn size(terms: &Terms) -> u128 {
    weight(terms, terms.capacity)
}

fn drained(terms: &Terms, nanoseconds: u64) -> u128 {
    u128::from(nanoseconds) * u128::from(terms.limit)
}

/// Nanoseconds, rounded up.
fn drain_time(terms: &Terms, level: u128) -> u64 {
    u64::try_from(divide(level + u128::from(terms.limit - 1), terms.limit)).unwrap_or(u64::MAX)
}

/// Division of 128-bit numbers takes ten times that of 64-bit ones, and is hardly ever needed.
fn divide(dividend: u128, divisor: u64) -> u128 {
    match u64::try_from(dividend) {
        Ok(small) => u128::from(small / divisor),
        Err(_) => dividend / u128::from(divisor),
    }
}
