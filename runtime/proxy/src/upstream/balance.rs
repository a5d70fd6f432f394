//! Chooses a target.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use rand::Rng;
use tollgate_model::entity::{Balance, RetryOn, Target, Upstream};

use super::{Endpoint, UpstreamHealth};

/// The targets of a service and how one of them is chosen. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Balancer {
    targets: Vec<Weighted>,
    choice: Choice,
    /// `None`: nobody is ever left out.
    health: Option<Arc<UpstreamHealth>>,
}

/// A target, and which of the balancer's it is.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) endpoint: Arc<Endpoint>,
    place: usize,
}

#[derive(Debug)]
struct Weighted {
    endpoint: Arc<Endpoint>,
    weight: u32,
}

#[derive(Debug)]
enum Choice {
    /// Positions in `targets`, each as often as its weight says, spread evenly.
    RoundRobin { order: Vec<u16>, next: AtomicUsize },
    /// The less loaded of two chosen at random by weight (Mitzenmacher, "The power of two choices
    /// in randomized load balancing", 2001).
    LeastRequests { total_weight: u32 },
}

impl Balancer {
    pub(crate) fn empty() -> Balancer {
        Balancer { targets: Vec::new(), choice: Choice::LeastRequests { total_weight: 0 }, health: None }
    }

    pub(crate) fn single(endpoint: Arc<Endpoint>) -> Balancer {
        let targets = vec![Weighted { endpoint, weight: 1 }];
        Balancer { targets, choice: Choice::RoundRobin { order: vec![0], next: AtomicUsize::new(0) }, health: None }
    }

    /// # Errors
    /// The first target's that has no endpoint.
    pub(crate) fn of(
        upstream: &Upstream,
        health: Option<Arc<UpstreamHealth>>,
        mut endpoint: impl FnMut(&Target) -> Result<Arc<Endpoint>, String>,
    ) -> Result<Balancer, String> {
        let in_rotation = upstream.targets.iter().filter(|target| target.weight > 0);
        let weighted = |target: &Target| Ok(Weighted { endpoint: endpoint(target)?, weight: target.weight.into() });
        let targets = in_rotation.map(weighted).collect::<Result<Vec<Weighted>, String>>()?;
        let weights: Vec<u32> = targets.iter().map(|target| target.weight).collect();
        let choice = match upstream.balance {
            Balance::RoundRobin => Choice::RoundRobin { order: spread(&weights), next: AtomicUsize::new(0) },
            Balance::LeastRequests => Choice::LeastRequests { total_weight: weights.iter().sum() },
        };
        Ok(Balancer { targets, choice, health })
    }

    /// A target that was not tried yet for this request; `None` when there is none. One that is ejected is
    /// the last resort, one that fails its health check is none.
    pub(crate) fn choose(&self, tried: &[Arc<Endpoint>]) -> Option<Chosen> {
        let is_fresh = |place: usize| {
            let endpoint = &self.targets[place].endpoint;
            !tried.iter().any(|seen| Arc::ptr_eq(seen, endpoint))
        };
        let enters =
            |place: &usize| is_fresh(*place) && self.health.as_ref().is_none_or(|health| health.enters(*place));
        let place = match &self.choice {
            // Who is left out gives up a turn: the others share it.
            Choice::RoundRobin { order, next } if !order.is_empty() => (0..2 * self.targets.len()).find_map(|_| {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                Some(usize::from(order[turn % order.len()])).filter(enters)
            }),
            Choice::LeastRequests { total_weight } if *total_weight > 0 => {
                let (a, b) = (self.at_random(*total_weight), self.at_random(*total_weight));
                let a_first = self.relative_load(a) <= self.relative_load(b);
                let (lighter, other) = if a_first { (a, b) } else { (b, a) };
                [lighter, other].into_iter().find(enters)
            }
            _ => None,
        };
        let rest = || {
            let from = rand::rng().random_range(0..self.targets.len().max(1));
            (from..self.targets.len()).chain(0..from)
        };
        let is_unhealthy = |place: usize| self.health.as_ref().is_some_and(|health| health.is_unhealthy(place));
        // A retry takes whatever is left.
        let place = place
            .or_else(|| rest().find(enters))
            .or_else(|| rest().find(|place| is_fresh(*place) && !is_unhealthy(*place)))?;
        Some(Chosen { endpoint: Arc::clone(&self.targets[place].endpoint), place })
    }

    /// A target answered. True if it is ejected for that.
    pub(crate) fn answered(&self, chosen: &Chosen, status: StatusCode) -> bool {
        self.health.as_ref().is_some_and(|health| health.answered(chosen.place, status))
    }

    /// A target did not answer. True if it is ejected for that.
    pub(crate) fn failed(&self, chosen: &Chosen, on: RetryOn) -> bool {
        self.health.as_ref().is_some_and(|health| health.failed(chosen.place, on))
    }

    pub(crate) fn health(&self) -> Option<&Arc<UpstreamHealth>> {
        self.health.as_ref()
    }

    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.targets.iter().map(|target| &target.endpoint)
    }

    fn at_random(&self, total_weight: u32) -> usize {
        let mut point = rand::rng().random_range(0..total_weight);
        for (index, target) in self.targets.iter().enumerate() {
            match point.checked_sub(target.weight) {
                Some(rest) => point = rest,
                None => return index,
            }
        }
        0
    }

    fn relative_load(&self, index: usize) -> u64 {
        let target = &self.targets[index];
        (u64::from(target.endpoint.load()) + 1) * u64::from(u16::MAX) / u64::from(target.weight)
    }
}

/// An order in which each index stands as often as its weight (reduced to the smallest whole
/// numbers) and as evenly as possible: smooth weighted round robin, unrolled.
fn spread(weights: &[u32]) -> Vec<u16> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let mut reduced: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let largest = reduced.iter().copied().max().unwrap_or(0);
    if largest > MOST_TURNS {
        reduced = reduced.iter().map(|weight| (weight * MOST_TURNS / largest).max(1)).collect();
    }
    let total: i64 = reduced.iter().sum();
    let mut credit = vec![0i64; reduced.len()];
    let mut order = Vec::new();
    for _ in 0..total {
        for (credit, weight) in credit.iter_mut().zip(&reduced) {
            *credit += weight;
        }
        // The first of the richest, so that the order is the same everywhere.
        let Some(richest) = (0..credit.len()).rev().max_by_key(|&index| credit[index]) else { break };
        credit[richest] -= total;
        order.push(richest as u16);
    }
    order
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Turns of the heaviest target before the order repeats; weights are rounded to it.
const MOST_TURNS: i64 = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_model::Name;
    use tollgate_model::entity::{Ejection, Protocol, Scheme};

    use super::super::{Address, Endpoints, Names};
    use super::*;

    #[test]
    fn turns_follow_weights_and_are_spread() {
        assert_eq!(spread(&[100, 100]), [0, 1]);
        assert_eq!(spread(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(spread(&[300]), [0]);
        assert_eq!(spread(&[]), Vec::<u16>::new());
    }

    #[test]
    fn very_different_weights_keep_the_order_short() {
        let order = spread(&[65_535, 1]);
        assert!(order.len() <= 257 && order.contains(&1));
    }

    #[test]
    fn those_that_serve_share_the_turns_of_one_that_is_ejected() {
        for balance in [Balance::RoundRobin, Balance::LeastRequests] {
            let target = |port| Target { host: "127.0.0.1".to_owned(), port, weight: 100 };
            let upstream = Upstream {
                name: Name::parse("three").unwrap(),
                balance,
                targets: [1, 2, 3].map(target).into(),
                ejection: Ejection::default(),
                health_check: None,
                tags: Vec::new(),
            };
            let health = UpstreamHealth::of(&upstream, None).unwrap();
            let (names, mut endpoints) = (Names::new(Duration::from_secs(1)), Endpoints::default());
            let endpoint = |target: &Target| {
                let (host, port) = (target.host.clone(), target.port);
                let address = Address { scheme: Scheme::Http, host, port, protocol: Protocol::Http1 };
                endpoints.at(&names, address, None)
            };
            let balancer = Balancer::of(&upstream, Some(Arc::clone(&health)), endpoint).unwrap();
            while !health.failed(0, RetryOn::Reset) {}
            let mut turns = [0u32; 3];
            for _ in 0..1000 {
                turns[balancer.choose(&[]).unwrap().place] += 1;
            }
            assert_eq!(turns[0], 0, "{balance:?}");
            assert!(turns[1].abs_diff(turns[2]) < 200, "{balance:?}: {turns:?}");
            let others: Vec<_> = balancer.endpoints().skip(1).cloned().collect();
            assert_eq!(balancer.choose(&others).unwrap().place, 0, "the last resort");
        }
    }
}
