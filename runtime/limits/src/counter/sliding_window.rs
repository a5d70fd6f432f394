use crate::rule::Terms;

/// Counts in sub-buckets of a tenth of the window. What is counted at a time `t` is the bucket that
/// `t` is in and the ten before it; together they cover all of `(t - window, t]`, so no stretch of a
/// window's length holds more than the limit, wherever it starts. The price: a permit comes back up to
/// a tenth of the window late.
///
/// The log of every admission would be exact, at the price of memory by the limit; the usual
/// interpolation between two windows is cheaper, but goes over.
#[derive(Debug, Default)]
pub(crate) struct SlidingWindow {
    /// The newest bucket's number, counted from the epoch.
    newest: u64,
    /// Bucket number `n` stands at `n % SLOTS`.
    counts: [u64; SLOTS],
}

/// Buckets in a window.
const BUCKETS: u64 = 10;
/// The window's, and the one that is filling.
const SLOTS: usize = BUCKETS as usize + 1;

impl SlidingWindow {
    pub fn used(&self, terms: &Terms, now: u64) -> u64 {
        if bucket_end(terms, self.newest) > now {
            // The usual case: what is held is what counts.
            return self.counts.iter().fold(0, |sum, &count| sum.saturating_add(count));
        }
        self.counted(bucket(terms, now)).fold(0, |sum, n| sum.saturating_add(self.counts[slot(n)]))
    }

    /// Waits until enough of the oldest buckets are out of the window.
    pub fn wait(&self, terms: &Terms, now: u64, cost: u64) -> Option<u64> {
        let mut sum = self.used(terms, now).saturating_add(cost);
        if sum <= terms.capacity {
            return None;
        }
        for number in self.counted(bucket(terms, now)) {
            sum = sum.saturating_sub(self.counts[slot(number)]);
            if sum <= terms.capacity {
                return Some(leaves_at(terms, number).saturating_sub(now));
            }
        }
        Some(terms.window)
    }

    pub fn reset_after(&self, terms: &Terms, now: u64) -> u64 {
        let held = self.counted(self.newest);
        let newest_used = held.rev().find(|&number| self.counts[slot(number)] > 0);
        newest_used.map_or(0, |number| leaves_at(terms, number).saturating_sub(now))
    }

    pub fn charge(&mut self, terms: &Terms, now: u64, permits: u64) {
        if bucket_end(terms, self.newest) <= now {
            self.roll(bucket(terms, now));
        }
        let count = &mut self.counts[slot(self.newest)];
        *count = count.saturating_add(permits);
    }

    pub fn give_back(&mut self, terms: &Terms, now: u64, at: u64, permits: u64) {
        let number = bucket(terms, at);
        if self.counted(bucket(terms, now)).contains(&number) {
            let count = &mut self.counts[slot(number)];
            *count = count.saturating_sub(permits);
        }
    }

    /// Numbers of the buckets that count while `current` fills, oldest first, as far as they are held.
    fn counted(&self, current: u64) -> std::ops::Range<u64> {
        let oldest = current.saturating_sub(BUCKETS);
        oldest.max((self.newest + 1).saturating_sub(SLOTS as u64))..self.newest + 1
    }

    fn roll(&mut self, current: u64) {
        if current <= self.newest {
            return;
        }
        if current - self.newest >= SLOTS as u64 {
            self.counts = [0; SLOTS];
        } else {
            for number in self.newest + 1..=current {
                self.counts[slot(number)] = 0;
            }
        }
        self.newest = current;
    }
}

/// Rounded up, so that ten buckets are never shorter than the window.
fn length(terms: &Terms) -> u64 {
    terms.window.div_ceil(BUCKETS)
}

fn bucket(terms: &Terms, time: u64) -> u64 {
    time / length(terms)
}

fn bucket_end(terms: &Terms, number: u64) -> u64 {
    (number + 1).saturating_mul(length(terms))
}

fn leaves_at(terms: &Terms, number: u64) -> u64 {
    (number + SLOTS as u64).saturating_mul(length(terms))
}

fn slot(number: u64) -> usize {
    (number % SLOTS as u64) as usize
}
