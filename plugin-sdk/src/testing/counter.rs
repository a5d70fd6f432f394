//! A small exact limiter in one process.

use std::collections::HashMap;
use std::time::Duration;

use super::host::limiter::{Algorithm, Ask, Decision, Rule, Standing, Verdict};

pub(crate) struct Counters {
    pub available: bool,
    rules: Vec<Rule>,
    /// By the limit's name and the key.
    counters: HashMap<(String, Vec<u8>), Counter>,
    reservations: Vec<Reservation>,
    standings: Vec<Standing>,
}

type Reservation = Vec<(Rule, Vec<u8>, Taken)>;

/// Permits taken, oldest first.
#[derive(Clone, Debug, Default)]
struct Counter(Vec<Taken>);

#[derive(Clone, Copy, Debug)]
struct Taken {
    number: u64,
    /// Milliseconds since the Unix epoch.
    at: u64,
    cost: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            available: true,
            rules: Vec::new(),
            counters: HashMap::new(),
            reservations: Vec::new(),
            standings: Vec::new(),
        }
    }
}

impl Counters {
    /// Number of the defined rule.
    pub fn define(&mut self, rule: &Rule) -> Result<u32, String> {
        if rule.limit == 0 || rule.window == 0 {
            return Err("a limit and its window are at least 1".to_owned());
        }
        self.rules.push(rule.clone());
        u32::try_from(self.rules.len() - 1).map_err(|_| "too many limits".to_owned())
    }

    /// `asks` with the bytes of their keys.
    pub fn take(&mut self, asks: &[(Ask, Vec<u8>)], now: Duration) -> Verdict {
        self.standings.clear();
        if !self.available {
            return verdict(Decision::Unavailable, 0, Standing::default(), 0, 0);
        }
        let now = millis(now);
        let looks: Vec<_> = asks.iter().map(|(ask, key)| self.look(ask, key, now)).collect();
        let denied = looks.iter().enumerate().filter(|(_, look)| look.retry_after > 0);
        if let Some((tightest, look)) = denied.max_by_key(|(_, look)| look.retry_after) {
            self.standings = looks.iter().map(|look| look.before).collect();
            return verdict(Decision::Denied, tightest, look.before, look.retry_after, 0);
        }
        let reservation = self.reservations.len() as u64 + 1;
        let taken = asks.iter().map(|(ask, key)| self.count(ask, key, reservation, now)).collect();
        self.reservations.push(taken);
        self.standings = asks.iter().map(|(ask, key)| self.look(&Ask { cost: 0, ..*ask }, key, now).before).collect();
        let share = |standing: &Standing| standing.remaining as f64 / standing.limit as f64;
        let standings = self.standings.iter().copied().enumerate();
        let tightest = standings.min_by(|(_, a), (_, b)| share(a).total_cmp(&share(b))).unwrap_or_default();
        verdict(Decision::Admitted, tightest.0, tightest.1, 0, reservation)
    }

    pub fn standings(&self) -> Vec<Standing> {
        self.standings.clone()
    }

    /// Settles a reservation's cost. What it took is still counted at its own time.
    pub fn commit(&mut self, reservation: u64, cost: u64) {
        let index = usize::try_from(reservation).ok().and_then(|number| number.checked_sub(1));
        let taken = index.and_then(|index| self.reservations.get(index)).cloned().unwrap_or_default();
        for (rule, key, taken) in taken {
            let counter = self.counters.entry((rule.name, key)).or_default();
            counter.0.iter_mut().filter(|kept| kept.number == taken.number).for_each(|kept| kept.cost = cost);
        }
    }

    pub fn used(&self, limit: &str, key: &[u8], now: Duration) -> u64 {
        let Some(rule) = self.rules.iter().rev().find(|rule| rule.name == limit) else { return 0 };
        let counter = self.counters.get(&(limit.to_owned(), key.to_vec())).cloned().unwrap_or_default();
        rule_size(rule) - counter.look(rule, 0, millis(now)).before.remaining
    }

    fn look(&self, ask: &Ask, key: &[u8], now: u64) -> Look {
        let rule = &self.rules[ask.rule as usize];
        let counter = self.counters.get(&(rule.name.clone(), key.to_vec())).cloned().unwrap_or_default();
        counter.look(rule, ask.cost, now)
    }

    fn count(&mut self, ask: &Ask, key: &[u8], number: u64, now: u64) -> (Rule, Vec<u8>, Taken) {
        let rule = self.rules[ask.rule as usize].clone();
        let taken = Taken { number, at: now, cost: ask.cost };
        self.counters.entry((rule.name.clone(), key.to_vec())).or_default().0.push(taken);
        (rule, key.to_vec(), taken)
    }
}

/// How a counter stands, and when it could give more; 0 for now.
struct Look {
    before: Standing,
    retry_after: u64,
}

impl Counter {
    fn look(&self, rule: &Rule, cost: u64, now: u64) -> Look {
        match rule.algorithm {
            Algorithm::FixedWindow => self.since(rule, now - now % rule.window, cost, now),
            Algorithm::SlidingWindow => self.since(rule, (now + 1).saturating_sub(rule.window), cost, now),
            Algorithm::TokenBucket => self.bucket(rule, cost, now),
        }
    }

    /// Permits taken from `start` on count, each until a window after it (sliding), or all until
    /// the window's end (fixed).
    fn since(&self, rule: &Rule, start: u64, cost: u64, now: u64) -> Look {
        let counted: Vec<_> = self.0.iter().filter(|taken| taken.at >= start && taken.cost > 0).collect();
        let used: u64 = counted.iter().map(|taken| taken.cost).sum();
        let end = |taken: &Taken| match rule.algorithm {
            Algorithm::FixedWindow => start + rule.window - now,
            _ => taken.at + rule.window - now,
        };
        let mut freed = 0;
        let enough = counted.iter().find(|taken| {
            freed += taken.cost;
            used + cost <= rule.limit + freed
        });
        Look {
            before: Standing {
                limit: rule.limit,
                remaining: rule.limit.saturating_sub(used),
                reset_after: counted.last().map_or(0, |taken| end(taken)),
            },
            retry_after: match enough {
                _ if used + cost <= rule.limit => 0,
                Some(taken) => end(taken),
                None => rule.window,
            },
        }
    }

    /// A bucket that is refilled evenly, replayed from the first permit taken.
    fn bucket(&self, rule: &Rule, cost: u64, now: u64) -> Look {
        let size = rule_size(rule) as f64;
        let per_milli = rule.limit as f64 / rule.window as f64;
        let mut tokens = size;
        let mut then = self.0.first().map_or(now, |taken| taken.at);
        for taken in &self.0 {
            tokens = (tokens + (taken.at - then) as f64 * per_milli).min(size) - taken.cost as f64;
            then = taken.at;
        }
        tokens = (tokens + (now - then) as f64 * per_milli).min(size);
        // Half a thousandth of a token is rounding, not a debt.
        let missing =
            |wanted: f64| if wanted - tokens > 0.0005 { ((wanted - tokens) / per_milli).ceil() as u64 } else { 0 };
        Look {
            before: Standing {
                limit: rule.limit,
                remaining: (tokens + 0.0005).max(0.0) as u64,
                reset_after: missing(size),
            },
            retry_after: missing(cost as f64),
        }
    }
}

/// Permits that can be taken at once.
fn rule_size(rule: &Rule) -> u64 {
    if rule.algorithm == Algorithm::TokenBucket && rule.burst > 0 { rule.burst } else { rule.limit }
}

fn verdict(decision: Decision, tightest: usize, standing: Standing, retry_after: u64, reservation: u64) -> Verdict {
    Verdict {
        decision,
        tightest: tightest as u32,
        limit: standing.limit,
        remaining: standing.remaining,
        reset_after: standing.reset_after,
        retry_after,
        reservation,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
