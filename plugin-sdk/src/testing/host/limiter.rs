use super::super::state::{Phase, with};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    FixedWindow,
    SlidingWindow,
    TokenBucket,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    pub algorithm: Algorithm,
    pub limit: u64,
    pub window: u64,
    pub burst: u64,
}

pub type RuleId = u32;

/// What is wanted of one counter; made by [`Limit::ask`](crate::limiter::Limit::ask).
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub rule: RuleId,
    pub key: u32,
    pub cost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Admitted,
    Denied,
    Unavailable,
}

#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    pub decision: Decision,
    pub tightest: u32,
    pub limit: u64,
    pub remaining: u64,
    pub reset_after: u64,
    pub retry_after: u64,
    pub reservation: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    pub limit: u64,
    pub remaining: u64,
    pub reset_after: u64,
}

pub fn define(rule: &Rule) -> Result<RuleId, String> {
    with(|state| {
        assert_eq!(state.phase, Phase::Configure, "limits are defined while configuring: the plugin would trap");
        state.counters.define(rule)
    })
}

pub fn take(asks: &[Ask]) -> Verdict {
    with(|state| {
        let asks: Vec<_> = asks.iter().map(|ask| (*ask, state.read(ask.key).to_vec())).collect();
        state.counters.take(&asks, state.now)
    })
}

pub fn standings() -> Vec<Standing> {
    with(|state| state.counters.standings())
}

pub fn commit(reservation: u64, cost: u64) {
    with(|state| state.counters.commit(reservation, cost));
}

pub fn refund(reservation: u64) {
    commit(reservation, 0);
}
