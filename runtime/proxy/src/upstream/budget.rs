//! How much of a service's load retries may be, as Finagle and Linkerd bound it: so that an outage is
//! not multiplied by those who wait for its end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

/// One worker's budgets, by service.
pub(crate) struct RetryBudgets {
    started: Instant,
    by_service: RefCell<HashMap<Arc<str>, Budget, RandomState>>,
}

/// Requests and retries of the last ten seconds, a slot a second.
#[derive(Debug, Default)]
struct Budget {
    slots: [Slot; SECONDS],
    /// Second of the newest slot.
    now: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    requests: u32,
    retries: u32,
}

impl Default for RetryBudgets {
    fn default() -> Self {
        RetryBudgets { started: Instant::now(), by_service: RefCell::default() }
    }
}

impl RetryBudgets {
    /// A request came, which adds to what retries may be.
    pub(crate) fn deposit(&self, service: &Arc<str>) {
        let second = self.second();
        let mut budgets = self.by_service.borrow_mut();
        match budgets.get_mut(service) {
            Some(budget) => budget.deposit(second),
            None => budgets.entry(Arc::clone(service)).or_default().deposit(second),
        }
    }

    /// Whether one more retry fits; it is counted then.
    pub(crate) fn withdraw(&self, service: &Arc<str>) -> bool {
        let second = self.second();
        self.by_service.borrow_mut().get_mut(service).is_some_and(|budget| budget.withdraw(second))
    }

    /// Forgets services without a request in the window.
    pub(crate) fn sweep(&self) {
        let second = self.second();
        self.by_service.borrow_mut().retain(|_, budget| second < budget.now + SECONDS as u64);
    }

    fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

impl Budget {
    fn deposit(&mut self, second: u64) {
        self.slot(second).requests += 1;
    }

    fn withdraw(&mut self, second: u64) -> bool {
        let at_least = self.slot(second).retries < PER_SECOND;
        let (requests, retries) =
            self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.requests, sum.1 + slot.retries));
        let granted = at_least || (retries + 1) * ONE_IN <= requests;
        if granted {
            self.slot(second).retries += 1;
        }
        granted
    }

    fn slot(&mut self, second: u64) -> &mut Slot {
        let passed = second.saturating_sub(self.now).min(SECONDS as u64);
        for step in 1..=passed {
            self.slots[((self.now + step) % SECONDS as u64) as usize] = Slot::default();
        }
        if passed == SECONDS as u64 {
            self.slots = [Slot::default(); SECONDS];
        }
        self.now = self.now.max(second);
        &mut self.slots[(self.now % SECONDS as u64) as usize]
    }
}

/// The window.
const SECONDS: usize = 10;
/// A retry for so many requests: 20 %.
const ONE_IN: u32 = 5;
/// Always granted, so that a service with few requests has retries at all.
const PER_SECOND: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(budget: &mut Budget, second: u64, asked: u32) -> u32 {
        (0..asked).filter(|_| budget.withdraw(second)).count() as u32
    }

    #[test]
    fn a_fifth_of_the_requests_of_ten_seconds() {
        let mut budget = Budget::default();
        (0..1000).for_each(|_| budget.deposit(4));
        assert_eq!(granted(&mut budget, 4, 500), 200);
        assert_eq!(granted(&mut budget, 5, 500), PER_SECOND, "the window is used up, the minimum is not");
        assert_eq!(granted(&mut budget, 13, 500), PER_SECOND, "still the same window");
        assert_eq!(granted(&mut budget, 14, 500), PER_SECOND, "requests are forgotten after ten seconds");
    }

    #[test]
    fn few_requests_have_a_few_retries_each_second() {
        let mut budget = Budget::default();
        for second in 100..120 {
            budget.deposit(second);
            assert_eq!(granted(&mut budget, second, 10), PER_SECOND);
        }
    }

    #[test]
    fn a_long_pause_empties_the_window() {
        let mut budget = Budget::default();
        (0..1000).for_each(|_| budget.deposit(3));
        assert_eq!(granted(&mut budget, 1_000_003, 500), PER_SECOND);
    }
}
