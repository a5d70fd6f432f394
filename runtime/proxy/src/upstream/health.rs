//! Which targets of an upstream get requests: not those that failed too often in a row, nor those that
//! fail their health check. One judgement a node, shared by all workers and all services of an upstream.
//!
//! An ejected target is tried with a single request once its time is over. Without a failure nothing is
//! written, and what is read is read by everybody.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use rpds::RedBlackTreeMapSync;
use tollgate_model::Name;
use tollgate_model::entity::{Ejection, HealthCheck, RetryOn, Target, Upstream};

/// How the targets of an upstream are. Positions are those among the targets in rotation.
pub struct UpstreamHealth {
    name: Name,
    ejection: Ejection,
    pub(crate) check: Option<HealthCheck>,
    targets: Vec<TargetHealth>,
    /// What times are measured from.
    started: Instant,
    /// Held while a target leaves or comes back, so that never too many leave.
    changing: Mutex<()>,
}

/// How upstreams are, by name: of those where something is to be judged. Copies share what is the same in both.
#[derive(Clone)]
pub struct Healths(RedBlackTreeMapSync<Name, Arc<UpstreamHealth>>);

#[derive(Debug)]
struct TargetHealth {
    target: Target,
    /// In a row.
    failures: AtomicU32,
    /// In a row.
    connect_failures: AtomicU32,
    /// Milliseconds: it is out until then, then one request may try it. 0: it is not out.
    until: AtomicU64,
    /// That request is on its way.
    on_trial: AtomicBool,
    /// Times that it was ejected without a longer time in between.
    times: AtomicU32,
    returned: AtomicU64,
    /// It failed its health check.
    unhealthy: AtomicBool,
    reason: Mutex<String>,
}

/// How an upstream is, for who asks.
#[derive(Clone, Debug)]
pub struct UpstreamReport {
    pub name: String,
    /// Targets that get requests.
    pub serving: usize,
    pub ejected: usize,
    pub unhealthy: usize,
    /// Those that get none.
    pub out: Vec<TargetReport>,
}

#[derive(Clone, Debug)]
pub struct TargetReport {
    /// `host:port`.
    pub target: String,
    /// By its health check; otherwise it is ejected.
    pub unhealthy: bool,
    pub reason: String,
    /// Until an ejected one is tried again.
    pub left: Duration,
}

impl Healths {
    pub fn iter(&self) -> impl Iterator<Item = &Arc<UpstreamHealth>> {
        self.0.values()
    }

    pub(crate) fn get(&self, upstream: &Name) -> Option<&Arc<UpstreamHealth>> {
        self.0.get(upstream)
    }

    pub(crate) fn put(&mut self, upstream: &Name, health: Option<Arc<UpstreamHealth>>) {
        match health {
            Some(health) => self.0.insert_mut(upstream.clone(), health),
            None => drop(self.0.remove_mut(upstream)),
        }
    }
}

impl Default for Healths {
    fn default() -> Healths {
        Healths(RedBlackTreeMapSync::new_sync())
    }
}

impl UpstreamHealth {
    /// `None` where nothing is to be judged. What is known of targets that stay is kept.
    pub(crate) fn of(upstream: &Upstream, before: Option<&Arc<UpstreamHealth>>) -> Option<Arc<UpstreamHealth>> {
        let in_rotation: Vec<&Target> = upstream.targets.iter().filter(|target| target.weight > 0).collect();
        if upstream.health_check.is_none() && upstream.ejection.room(in_rotation.len()) == 0 {
            return None;
        }
        let same = before.filter(|before| {
            before.ejection == upstream.ejection
                && before.check == upstream.health_check
                && before.targets.iter().map(|known| &known.target).eq(in_rotation.iter().copied())
        });
        if let Some(same) = same {
            return Some(Arc::clone(same));
        }
        let known = |target: &Target| {
            let mut before = before?.targets.iter();
            before.find(|known| (&known.target.host, known.target.port) == (&target.host, target.port))
        };
        let checked = upstream.health_check.is_some();
        let judged = |target: &Target| TargetHealth::of(target, known(target), checked);
        Some(Arc::new(UpstreamHealth {
            name: upstream.name.clone(),
            ejection: upstream.ejection.clone(),
            check: upstream.health_check.clone(),
            targets: in_rotation.into_iter().map(judged).collect(),
            started: before.map_or_else(Instant::now, |before| before.started),
            changing: Mutex::default(),
        }))
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Whether a request may go there. Of an ejected target whose time is over, true is the trial.
    pub(crate) fn enters(&self, place: usize) -> bool {
        let target = &self.targets[place];
        if target.unhealthy.load(Relaxed) {
            return false;
        }
        match target.until.load(Relaxed) {
            0 => true,
            until => self.tries(target, until),
        }
    }

    pub(crate) fn is_unhealthy(&self, place: usize) -> bool {
        self.targets[place].unhealthy.load(Relaxed)
    }

    /// A request got the head of a response.
    pub(crate) fn succeeded(&self, place: usize) {
        let target = &self.targets[place];
        if target.failures.load(Relaxed) == 0 && target.until.load(Relaxed) == 0 {
            return;
        }
        target.forgive();
        // Not by a request that was sent before it was ejected.
        if target.on_trial.swap(false, Relaxed) {
            let _changing = self.changing();
            target.until.store(0, Relaxed);
            target.returned.store(self.now(), Relaxed);
            tracing::info!(upstream = %self.name, target = %target, "target is back");
        }
    }

    /// A request failed in this way. True if that ejected the target.
    pub(crate) fn failed(&self, place: usize, on: RetryOn) -> bool {
        let target = &self.targets[place];
        if !self.ejection.on.contains(&on) {
            return false;
        }
        if target.until.load(Relaxed) > 0 {
            // What was sent before it was ejected says nothing new.
            return target.on_trial.swap(false, Relaxed) && self.eject(target, on, true);
        }
        let failures = target.failures.fetch_add(1, Relaxed) + 1;
        let unreachable = match on {
            RetryOn::ConnectFailure => target.connect_failures.fetch_add(1, Relaxed) + 1,
            _ => 0,
        };
        let too_many = failures >= self.ejection.failures || unreachable >= self.ejection.connect_failures;
        too_many && self.eject(target, on, false)
    }

    /// What a response of this status says.
    pub(crate) fn answered(&self, place: usize, status: http::StatusCode) -> bool {
        match RetryOn::of_status(status.as_u16()).filter(|on| self.ejection.on.contains(on)) {
            Some(on) => self.failed(place, on),
            None => {
                self.succeeded(place);
                false
            }
        }
    }

    /// The health check has found out how a target is.
    pub(crate) fn checked(&self, place: usize, outcome: Result<(), String>) {
        let target = &self.targets[place];
        let well = outcome.is_ok();
        if target.unhealthy.swap(!well, Relaxed) != well {
            return;
        }
        match outcome {
            Ok(()) => tracing::info!(upstream = %self.name, target = %target, "target is well again"),
            Err(reason) => {
                tracing::warn!(upstream = %self.name, target = %target, reason, "target fails its health check");
                target.explain(reason);
            }
        }
    }

    pub fn report(&self) -> UpstreamReport {
        let now = self.now();
        let out: Vec<TargetReport> = self.targets.iter().filter_map(|target| target.report(now)).collect();
        let unhealthy = out.iter().filter(|target| target.unhealthy).count();
        let (serving, ejected) = (self.targets.len() - out.len(), out.len() - unhealthy);
        UpstreamReport { name: self.name.to_string(), serving, ejected, unhealthy, out }
    }

    /// One of those who find its time over has the trial; if nothing is heard of it, there is another one.
    fn tries(&self, target: &TargetHealth, until: u64) -> bool {
        let now = self.now();
        if now < until {
            return false;
        }
        let _changing = self.changing();
        let tries = target.until.load(Relaxed) == until;
        if tries {
            target.until.store(now + milliseconds(self.ejection.time), Relaxed);
            target.on_trial.store(true, Relaxed);
        }
        tries
    }

    /// Puts a target out; for longer if the failure is its trial's.
    fn eject(&self, target: &TargetHealth, on: RetryOn, trial: bool) -> bool {
        let _changing = self.changing();
        let now = self.now();
        let again = target.until.load(Relaxed) > 0;
        if again && !trial {
            // Another worker was faster.
            return false;
        }
        let others = self.targets.iter().filter(|other| !std::ptr::eq(*other, target));
        let out = others.filter(|other| other.until.load(Relaxed) > 0 || other.unhealthy.load(Relaxed)).count();
        if !again && out >= self.ejection.room(self.targets.len()) {
            // It stays, with a new count: asking at each failure would only cost.
            target.forgive();
            return false;
        }
        let well_for = now.saturating_sub(target.returned.load(Relaxed));
        if !again && well_for > milliseconds(self.ejection.longest) {
            target.times.store(0, Relaxed);
        }
        let times = target.times.fetch_add(1, Relaxed);
        let time = self.time(times);
        target.forgive();
        target.on_trial.store(false, Relaxed);
        target.until.store((now + milliseconds(time)).max(1), Relaxed);
        target.explain(on.word().to_owned());
        let reason = on.word();
        match again {
            false => tracing::warn!(upstream = %self.name, target = %target, ?time, reason, "target ejected"),
            true => tracing::warn!(upstream = %self.name, target = %target, ?time, reason, "target stays ejected"),
        }
        true
    }

    /// Doubled each time. A quarter of it is left to chance, so that nodes do not try all at once.
    fn time(&self, times: u32) -> Duration {
        let whole = self.ejection.time.saturating_mul(2u32.saturating_pow(times)).min(self.ejection.longest);
        whole.mul_f64(rand::rng().random_range(0.75..=1.0))
    }

    fn now(&self) -> u64 {
        milliseconds(self.started.elapsed())
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TargetHealth {
    fn of(target: &Target, known: Option<&TargetHealth>, checked: bool) -> TargetHealth {
        let number =
            |of: fn(&TargetHealth) -> &AtomicU64| AtomicU64::new(known.map_or(0, |known| of(known).load(Relaxed)));
        let count =
            |of: fn(&TargetHealth) -> &AtomicU32| AtomicU32::new(known.map_or(0, |known| of(known).load(Relaxed)));
        TargetHealth {
            target: target.clone(),
            failures: count(|known| &known.failures),
            connect_failures: count(|known| &known.connect_failures),
            until: number(|known| &known.until),
            on_trial: AtomicBool::new(false),
            times: count(|known| &known.times),
            returned: number(|known| &known.returned),
            unhealthy: AtomicBool::new(checked && known.is_some_and(|known| known.unhealthy.load(Relaxed))),
            reason: Mutex::new(known.map(|known| known.reason()).unwrap_or_default()),
        }
    }

    fn forgive(&self) {
        self.failures.store(0, Relaxed);
        self.connect_failures.store(0, Relaxed);
    }

    fn explain(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn report(&self, now: u64) -> Option<TargetReport> {
        let (until, unhealthy) = (self.until.load(Relaxed), self.unhealthy.load(Relaxed));
        (until > 0 || unhealthy).then(|| TargetReport {
            target: self.to_string(),
            unhealthy,
            reason: self.reason(),
            left: Duration::from_millis(until.saturating_sub(now)),
        })
    }
}

impl fmt::Display for TargetHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { host, port, .. } = &self.target;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for UpstreamHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamHealth")
            .field("name", &self.name)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

fn milliseconds(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILURE: RetryOn = RetryOn::Reset;

    fn upstream(targets: u16, time: Duration) -> Upstream {
        let target = |port| Target { host: "a".to_owned(), port, weight: 1 };
        Upstream {
            name: Name::parse("up").unwrap(),
            balance: Default::default(),
            targets: (0..targets).map(target).collect(),
            ejection: Ejection { time, longest: time * 8, most: 100, ..Ejection::default() },
            health_check: None,
            tags: Vec::new(),
        }
    }

    fn judged(targets: u16, time: Duration) -> Arc<UpstreamHealth> {
        UpstreamHealth::of(&upstream(targets, time), None).unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);
    const NONE: Duration = Duration::from_millis(1);

    fn fails_five_times(health: &UpstreamHealth, place: usize) {
        for _ in 0..5 {
            health.failed(place, FAILURE);
        }
    }

    /// The times are over.
    fn pass(health: &UpstreamHealth, place: usize) {
        while health.now() < health.targets[place].until.load(Relaxed) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn failures_in_a_row_eject_and_others_do_not() {
        let health = judged(2, HOUR);
        for _ in 0..20 {
            (0..4).for_each(|_| assert!(!health.failed(0, FAILURE)));
            health.succeeded(0);
        }
        assert!(!health.failed(0, RetryOn::Unavailable), "not counted unless asked for");
        assert!((0..4).all(|_| !health.failed(0, FAILURE)) && health.failed(0, FAILURE));
        assert!(!health.enters(0) && health.enters(1));
        // A request that was on its way does not bring it back.
        health.succeeded(0);
        assert!(!health.enters(0));
        assert!(!health.failed(1, RetryOn::ConnectFailure));
        assert!(!health.failed(1, RetryOn::ConnectFailure), "the last one stays");
        assert!(health.enters(1));
        let report = health.report();
        assert_eq!((report.serving, report.ejected, report.out[0].target.as_str()), (1, 1, "a:0"));
    }

    #[test]
    fn one_request_tries_and_decides() {
        let health = judged(2, NONE);
        fails_five_times(&health, 0);
        pass(&health, 0);
        assert!(health.enters(0), "the trial");
        assert!(health.failed(0, FAILURE), "ejected again at once");
        pass(&health, 0);
        assert!(health.enters(0));
        health.succeeded(0);
        assert!((0..3).all(|_| health.enters(0)));
        assert_eq!(health.report().ejected, 0);
    }

    #[test]
    fn only_one_request_tries() {
        let health = judged(2, HOUR);
        fails_five_times(&health, 0);
        let time_is_over = || {
            health.targets[0].until.store(1, Relaxed);
            pass(&health, 0);
        };
        time_is_over();
        assert!(health.enters(0) && !health.enters(0) && !health.enters(0));
        // Nothing was heard of it for as long again.
        time_is_over();
        assert!(health.enters(0) && !health.enters(0));
    }

    #[test]
    fn workers_that_eject_at_once_eject_once() {
        let health = judged(2, Duration::from_secs(10));
        let target = &health.targets[0];
        assert!(health.eject(target, FAILURE, false));
        let until = target.until.load(Relaxed);
        assert!(!health.eject(target, FAILURE, false), "another worker was faster");
        assert_eq!((target.until.load(Relaxed), target.times.load(Relaxed)), (until, 1));
    }

    #[test]
    fn times_grow_up_to_a_limit_and_differ() {
        let health = judged(2, Duration::from_secs(10));
        for (times, most) in [(0, 10), (1, 20), (3, 80), (9, 80), (40, 80)] {
            let all: Vec<Duration> = (0..100).map(|_| health.time(times)).collect();
            let bounds = Duration::from_secs(most).mul_f64(0.75)..=Duration::from_secs(most);
            assert!(all.iter().all(|time| bounds.contains(time)), "{times}");
            assert!(all.iter().any(|time| *time != all[0]));
        }
    }

    #[test]
    fn what_is_known_outlives_a_change_of_other_targets() {
        let before = judged(2, HOUR);
        fails_five_times(&before, 0);
        let same = UpstreamHealth::of(&upstream(2, HOUR), Some(&before)).unwrap();
        assert!(Arc::ptr_eq(&before, &same));
        let after = UpstreamHealth::of(&upstream(3, HOUR), Some(&before)).unwrap();
        assert!(!after.enters(0) && after.enters(1) && after.enters(2));
        assert!(UpstreamHealth::of(&upstream(1, HOUR), None).is_none(), "the only target is never out");
    }

    #[test]
    fn checks_take_out_all_if_all_are_ill() {
        let check = HealthCheck {
            path: "/".to_owned(),
            interval: HOUR,
            timeout: HOUR,
            statuses: Vec::new(),
            healthy: 1,
            unhealthy: 1,
        };
        let health = UpstreamHealth::of(&Upstream { health_check: Some(check), ..upstream(1, HOUR) }, None).unwrap();
        health.checked(0, Err("status 500".to_owned()));
        assert!(!health.enters(0) && health.is_unhealthy(0));
        assert_eq!(health.report().out[0].reason, "status 500");
        health.checked(0, Ok(()));
        assert!(health.enters(0));
    }
}
