//! Whether a request is sent once more, and when.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rand::Rng;
use tollgate_model::entity::{Retries, RetryOn};

use crate::snapshot::ServiceEntry;
use crate::upstream::{Balancer, Chosen, Endpoint};
use crate::worker::Shared;

/// The attempts of one request.
pub(super) struct Attempts<'a> {
    worker: &'a Shared,
    service: &'a ServiceEntry,
    policy: &'a Retries,
    /// Targets that are not asked again while there are others.
    tried: Vec<Arc<Endpoint>>,
    /// Targets in a row that could not be connected to.
    unreachable: usize,
    /// Times that a target certainly did nothing with the request.
    resent: usize,
    /// Times that the request was sent and counts as sent, the one under way included.
    sent: u16,
}

impl<'a> Attempts<'a> {
    pub(super) fn begin(worker: &'a Shared, service: &'a ServiceEntry) -> Attempts<'a> {
        let policy = service.retries();
        if policy.attempts > 1 {
            worker.retry_budgets.deposit(&service.name);
        }
        Attempts { worker, service, policy, tried: Vec::new(), unreachable: 0, resent: 0, sent: 1 }
    }

    /// Whether any answer or failure may lead to another attempt.
    pub(super) fn are_several(&self) -> bool {
        self.policy.attempts > 1
    }

    pub(super) fn target(&self, balancer: &Balancer) -> Option<Chosen> {
        balancer.choose(&self.tried)
    }

    /// No connection could be made: the next target is free, coming back to one is a retry.
    pub(super) async fn after_unreachable(&mut self, endpoint: Arc<Endpoint>, balancer: &Balancer) -> bool {
        self.tried.push(endpoint);
        self.unreachable += 1;
        let others = self.unreachable < TARGETS_TRIED && self.tried.len() < balancer.len();
        others || (self.granted(RetryOn::ConnectFailure) && self.pause(balancer).await)
    }

    /// The target did nothing with the request. Not a retry, but it can't go on for ever.
    pub(super) fn after_unsent(&mut self) -> bool {
        self.resent += 1;
        self.resent < RESENT
    }

    /// Whether the policy wants another attempt and the budget has one; it is counted then.
    pub(super) fn granted(&self, on: RetryOn) -> bool {
        if self.sent >= self.policy.attempts || !self.policy.on.contains(&on) {
            return false;
        }
        let metrics = &self.worker.metrics;
        let granted = self.worker.retry_budgets.withdraw(&self.service.name);
        if granted {
            metrics.retries.add(1)
        } else {
            metrics.retries_refused.add(1)
        }
        granted
    }

    pub(super) fn may_repeat(&self, method: &Method) -> bool {
        self.policy.methods.contains(method)
    }

    /// Once more, somewhere else if there is somewhere else. Always true.
    pub(super) async fn again(&mut self, endpoint: Arc<Endpoint>, balancer: &Balancer) -> bool {
        self.tried.push(endpoint);
        self.pause(balancer).await
    }

    /// Waits a moment; then other targets than the last come first.
    async fn pause(&mut self, balancer: &Balancer) -> bool {
        tokio::time::sleep(pause(self.sent)).await;
        self.sent += 1;
        self.unreachable = 0;
        if self.tried.len() >= balancer.len() {
            let last = self.tried.pop().filter(|_| balancer.len() > 1);
            self.tried = last.into_iter().collect();
        }
        true
    }
}

/// Doubles with each attempt; its second half is left to chance, so that requests that failed together
/// do not come back together.
fn pause(sent: u16) -> Duration {
    let whole = LONGEST_PAUSE.min(SHORTEST_PAUSE * 2u32.saturating_pow(u32::from(sent) - 1));
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// Targets of one request that may fail to connect before one is asked again.
const TARGETS_TRIED: usize = 3;
/// Connections of one request that may turn out to be closed, or to take nothing new.
const RESENT: usize = 5;
const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        for (sent, least, most) in [(1, 12, 25), (2, 25, 50), (4, 100, 200), (5, 125, 250), (10, 125, 250)] {
            let pause = pause(sent).as_millis();
            assert!((least..=most).contains(&pause), "{sent}: {pause} ms");
        }
    }
}
