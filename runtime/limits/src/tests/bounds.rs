//! Memory, identities and the clock.

use super::*;
use crate::SystemClock;

#[test]
fn the_same_identity_goes_on_counting() {
    for algorithm in ALL {
        let (limiter, _clock) = limiter();
        let first = rule(&limiter, algorithm, 10);
        take(&limiter, &first, "a", 6);
        let second = rule(&limiter, algorithm, 8);
        assert_eq!(remaining(&limiter, &second, "a"), 2, "{algorithm:?}: the limit changed, the count stays");
        drop((first, second));
        limiter.sweep();
        assert_eq!(remaining(&limiter, &rule(&limiter, algorithm, 8), "a"), 2, "{algorithm:?}: after a pause");
    }
}

#[test]
fn another_window_or_algorithm_counts_anew() {
    let (limiter, _clock) = limiter();
    take(&limiter, &rule(&limiter, Algorithm::FixedWindow, 10), "a", 10);
    assert!(admitted(&limiter, &rule(&limiter, Algorithm::SlidingWindow, 10), "a"));
    let hour = RuleSpec { window: Duration::from_secs(3600), ..per_minute(Algorithm::FixedWindow, 10) };
    assert!(admitted(&limiter, &limiter.rule("test", hour).expect("a valid rule"), "a"));
}

#[test]
fn identities_that_come_and_go_leave_nothing_behind() {
    let (limiter, clock) = limiter();
    let kept = rule(&limiter, Algorithm::FixedWindow, 10);
    take(&limiter, &kept, "a", 4);
    for n in 0..10_000 {
        let passing = limiter.rule(&format!("passing-{n}"), per_minute(Algorithm::SlidingWindow, 5));
        take(&limiter, &passing.expect("a valid rule"), "a", 1);
        clock.advance(Duration::from_micros(1));
        assert!(limiter.lineages() <= 2500, "{} identities after {n}", limiter.lineages());
    }
    clock.advance(Duration::from_secs(30));
    assert_eq!(remaining(&limiter, &rule(&limiter, Algorithm::FixedWindow, 10), "a"), 6);
    // The first pass sees them idle, the one after their counters' time lets them go.
    for _ in 0..2 {
        limiter.sweep();
        clock.advance(Duration::from_secs(150));
    }
    limiter.sweep();
    assert_eq!((limiter.lineages(), limiter.len()), (1, 0));
}

#[test]
fn distinct_keys_can_not_fill_the_memory() {
    let clock = Hand::new();
    let limiter = Local::with_clock(clock.clone(), Capacity { counters: 6400, key_bytes: 1 << 20 });
    let rule = rule(&limiter, Algorithm::FixedWindow, 10);
    for n in 0..50_000 {
        assert!(admitted(&limiter, &rule, &format!("key-{n}")));
    }
    assert!(limiter.len() <= 6400, "{} counters", limiter.len());
    for n in 0..2000 {
        assert!(admitted(&limiter, &rule, &format!("{n}-{}", "x".repeat(8000))));
    }
    assert!(limiter.len() <= 6400 && limiter.len() * 1000 < (1 << 20) * 8, "{} counters", limiter.len());
}

#[test]
fn what_lasts_longer_outlives_a_flood_of_short_ones() {
    let clock = Hand::new();
    let limiter = Local::with_clock(clock.clone(), Capacity { counters: 6400, key_bytes: 1 << 20 });
    let hour = RuleSpec { window: Duration::from_secs(3600), ..per_minute(Algorithm::FixedWindow, 10) };
    let hourly = limiter.rule("hourly", hour).expect("a valid rule");
    take(&limiter, &hourly, "precious", 10);
    let short = rule(&limiter, Algorithm::FixedWindow, 10);
    for n in 0..50_000 {
        take(&limiter, &short, &format!("key-{n}"), 1);
    }
    assert!(!admitted(&limiter, &hourly, "precious"));
}

#[test]
fn expired_counters_go_while_new_ones_come() {
    let (limiter, clock) = limiter();
    let rule = rule(&limiter, Algorithm::FixedWindow, 10);
    for n in 0..10_000 {
        take(&limiter, &rule, &format!("old-{n}"), 1);
    }
    clock.advance(Duration::from_secs(60));
    for n in 0..10_000 {
        take(&limiter, &rule, &format!("new-{n}"), 1);
    }
    assert!(limiter.len() < 11_000, "{} counters", limiter.len());
    assert_eq!(remaining(&limiter, &rule, "new-77"), 9, "live ones stay");
    clock.advance(Duration::from_secs(60));
    limiter.sweep();
    assert_eq!(limiter.len(), 0);
}

#[test]
fn the_system_clock_starts_at_the_wall_clock_and_never_goes_back() {
    let clock = SystemClock::start();
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let first = clock.now();
    assert!(first.abs_diff(wall.as_nanos() as u64) < 10_000_000_000, "{first} is not about {wall:?}");
    assert!(
        (0..1000)
            .scan(first, |last, _| {
                let before = std::mem::replace(last, clock.now());
                Some(before <= *last)
            })
            .all(|forward| forward)
    );
}
