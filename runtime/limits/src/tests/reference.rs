//! Every algorithm against the exact log of what it admitted.

use proptest::prelude::*;

use super::*;

/// Times (nanoseconds) and costs of all that was admitted.
type Log = [(u64, u64)];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn fixed_window_is_exact(limit in 1..20u64, window in 1..50u64, steps in steps()) {
        run(Algorithm::FixedWindow, limit, window, 0, &steps, |log, now, cost| {
            let window = window * MS;
            sum(log, now / window * window, now) + cost <= limit
        })?;
    }

    #[test]
    fn token_bucket_is_exact(limit in 1..20u64, window in 1..50u64, burst in 1..30u64, steps in steps()) {
        run(Algorithm::TokenBucket, limit, window, burst, &steps, |log, now, cost| {
            // No stretch that ends now holds more than the burst and what was refilled along it.
            log.iter().map(|&(from, _)| from).chain([now]).all(|from| {
                let refilled = u128::from(limit) * u128::from(now - from);
                u128::from(sum(log, from, now) + cost) * u128::from(window * MS)
                    <= u128::from(burst) * u128::from(window * MS) + refilled
            })
        })?;
    }

    #[test]
    fn sliding_window_is_never_over(limit in 1..20u64, window in 1..50u64, steps in steps()) {
        let log = admissions(Algorithm::SlidingWindow, limit, window, 0, &steps);
        for &(end, _) in &log {
            let start = (end + 1).saturating_sub(window * MS);
            prop_assert!(sum(&log, start, end) <= limit, "over the limit in the window that ends at {end}");
        }
    }

    #[test]
    fn sliding_window_denies_only_what_eleven_tenths_of_it_hold(
        limit in 1..20u64, window in 1..50u64, steps in steps()
    ) {
        let (limiter, clock) = limiter();
        let rule = defined(&limiter, Algorithm::SlidingWindow, limit, window, 0);
        let mut log = Vec::new();
        for &(wait, cost) in &steps {
            clock.advance(Duration::from_nanos(wait));
            let now = clock.now();
            let verdict = take(&limiter, &rule, "k", cost);
            if verdict.decision == Decision::Admitted {
                log.push((now, cost));
            } else {
                let reach = window * MS * 11 / 10 + 11;
                prop_assert!(sum(&log, now - reach, now) + cost > limit, "denied with room left");
            }
        }
    }

    #[test]
    fn a_denial_says_when_it_would_be_admitted(
        which in 0..3usize, limit in 1..20u64, window in 1..50u64, burst in 1..30u64, steps in steps()
    ) {
        let (limiter, clock) = limiter();
        let rule = defined(&limiter, ALL[which], limit, window, burst);
        for &(wait, cost) in &steps {
            clock.advance(Duration::from_nanos(wait));
            let verdict = take(&limiter, &rule, "k", cost);
            if verdict.decision == Decision::Denied && cost <= verdict.standings[0].limit {
                prop_assert!(verdict.retry_after > Duration::ZERO);
                clock.advance(verdict.retry_after - Duration::from_nanos(1));
                prop_assert_eq!(take(&limiter, &rule, "k", cost).decision, Decision::Denied, "could have come earlier");
                clock.advance(Duration::from_nanos(1));
                prop_assert_eq!(take(&limiter, &rule, "k", cost).decision, Decision::Admitted, "came too early");
            }
        }
    }
}

/// Nanoseconds to wait, and permits to ask for.
fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let wait = prop_oneof![Just(0), 1..1000u64, 0..10 * MS, 0..200 * MS];
    prop::collection::vec((wait, 1..25u64), 1..120)
}

fn sum(log: &Log, from: u64, to: u64) -> u64 {
    log.iter().filter(|(at, _)| (from..=to).contains(at)).map(|(_, cost)| cost).sum()
}

fn defined(limiter: &Local, algorithm: Algorithm, limit: u64, window: u64, burst: u64) -> Rule {
    let window = Duration::from_millis(window);
    limiter.rule("reference", RuleSpec { algorithm, limit, window, burst }).expect("a valid rule")
}

/// Each step is admitted if and only if `fits` says so of the log so far.
fn run(
    algorithm: Algorithm,
    limit: u64,
    window: u64,
    burst: u64,
    steps: &[(u64, u64)],
    fits: impl Fn(&Log, u64, u64) -> bool,
) -> Result<(), TestCaseError> {
    let log = admissions(algorithm, limit, window, burst, steps);
    let mut now = Hand::new().now();
    let mut so_far = 0;
    for &(wait, cost) in steps {
        now += wait;
        let was_admitted = log.get(so_far) == Some(&(now, cost));
        prop_assert_eq!(was_admitted, fits(&log[..so_far], now, cost), "at {} with cost {}", now, cost);
        so_far += usize::from(was_admitted);
    }
    Ok(())
}

/// What is admitted of the steps.
fn admissions(algorithm: Algorithm, limit: u64, window: u64, burst: u64, steps: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let (limiter, clock) = limiter();
    let rule = defined(&limiter, algorithm, limit, window, burst);
    let mut log = Vec::new();
    for &(wait, cost) in steps {
        clock.advance(Duration::from_nanos(wait));
        if take(&limiter, &rule, "k", cost).decision == Decision::Admitted {
            log.push((clock.now(), cost));
        }
    }
    log
}

const MS: u64 = 1_000_000;
