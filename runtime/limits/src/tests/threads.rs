use std::thread;

use super::*;

#[test]
fn threads_together_are_admitted_exactly_the_limit() {
    for algorithm in ALL {
        let limiter = Local::new();
        // A window that does not end meanwhile, and a refill too slow to be seen.
        let spec = RuleSpec { algorithm, limit: 20_000, window: YEARS, burst: 0 };
        let rule = limiter.rule("shared", spec).expect("a valid rule");
        let admitted: u64 = thread::scope(|scope| {
            let takers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..5000).filter(|_| admitted(&limiter, &rule, "a")).count() as u64))
                .collect();
            takers.into_iter().map(|taker| taker.join().expect("no panic")).sum()
        });
        assert_eq!(admitted, 20_000, "{algorithm:?}");
    }
}

/// Asks in opposite orders neither deadlock nor tear: both counters admit the same number.
#[test]
fn several_asks_are_one_step_whatever_their_order() {
    let limiter = Local::new();
    let define = |identity: &str, limit| {
        let spec = RuleSpec { algorithm: Algorithm::FixedWindow, limit, window: YEARS, burst: 0 };
        limiter.rule(identity, spec).expect("a valid rule")
    };
    let (wide, narrow) = (define("wide", 50_000), define("narrow", 10_000));
    thread::scope(|scope| {
        for taker in 0..8 {
            let (limiter, wide, narrow) = (&limiter, &wide, &narrow);
            scope.spawn(move || {
                for n in 0..3000 {
                    let mut asks = [Ask { rule: wide, key: b"w", cost: 1 }, Ask { rule: narrow, key: b"n", cost: 1 }];
                    if (taker + n) % 2 == 0 {
                        asks.reverse();
                    }
                    let verdict = limiter.take(&asks);
                    if n % 5 == 0 {
                        limiter.refund(&verdict.taken);
                    }
                }
            });
        }
    });
    assert_eq!(remaining(&limiter, &narrow, "n"), 0);
    assert_eq!(remaining(&limiter, &wide, "w"), 40_000);
}

const YEARS: Duration = Duration::from_secs(5 * 366 * 86_400);
