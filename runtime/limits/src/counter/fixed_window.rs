use crate::rule::Terms;

/// Counts within windows aligned to the epoch: window `i` is `[i × length, (i + 1) × length)`.
#[derive(Debug, Default)]
pub(crate) struct FixedWindow {
    /// End of the window that `count` belongs to. Kept instead of its number: dividing each time costs
    /// more than everything else here.
    ends_at: u64,
    count: u64,
}

impl FixedWindow {
    pub fn used(&self, now: u64) -> u64 {
        if now < self.ends_at { self.count } else { 0 }
    }

    pub fn wait(&self, terms: &Terms, now: u64, cost: u64) -> Option<u64> {
        let fits = self.used(now).checked_add(cost).is_some_and(|sum| sum <= terms.capacity);
        // What does not fit, of costs that ever can, meets a count of this window.
        (!fits).then(|| self.ends_at.saturating_sub(now))
    }

    pub fn reset_after(&self, now: u64) -> u64 {
        if self.used(now) == 0 { 0 } else { self.ends_at - now }
    }

    pub fn charge(&mut self, terms: &Terms, now: u64, permits: u64) {
        let count = self.used(now).saturating_add(permits);
        if now >= self.ends_at {
            self.ends_at = (now / terms.window).saturating_add(1).saturating_mul(terms.window);
        }
        self.count = count;
    }

    pub fn give_back(&mut self, terms: &Terms, now: u64, at: u64, permits: u64) {
        if now < self.ends_at && at >= self.ends_at - terms.window {
            self.count = self.count.saturating_sub(permits);
        }
    }
}
