use super::*;

#[test]
fn admits_the_limit_and_says_how_it_stands() {
    for algorithm in ALL {
        let (limiter, _clock) = limiter();
        let rule = rule(&limiter, algorithm, 10);
        for left in (0..10).rev() {
            let verdict = take(&limiter, &rule, "a", 1);
            assert_eq!(verdict.decision, Decision::Admitted, "{algorithm:?}");
            assert_eq!((verdict.standings[0].limit, verdict.standings[0].remaining), (10, left), "{algorithm:?}");
            assert_eq!(verdict.retry_after, Duration::ZERO);
        }
        let verdict = take(&limiter, &rule, "a", 1);
        assert_eq!(verdict.decision, Decision::Denied, "{algorithm:?}");
        assert!(verdict.taken.is_empty());
        let expected = match algorithm {
            Algorithm::FixedWindow => (60, 60),
            Algorithm::SlidingWindow => (66, 66),
            Algorithm::TokenBucket => (6, 60),
        };
        assert_eq!(
            (verdict.retry_after.as_secs(), verdict.standings[0].reset_after.as_secs()),
            expected,
            "{algorithm:?}"
        );
        assert!(admitted(&limiter, &rule, "b"), "another key counts apart");
    }
}

#[test]
fn a_full_window_is_whole_again_after_its_reset() {
    for algorithm in ALL {
        let (limiter, clock) = limiter();
        let rule = rule(&limiter, algorithm, 10);
        let verdict = take(&limiter, &rule, "a", 10);
        clock.advance(verdict.standings[0].reset_after - Duration::from_nanos(1));
        assert!(remaining(&limiter, &rule, "a") < 10, "{algorithm:?}");
        clock.advance(Duration::from_nanos(1));
        assert_eq!(remaining(&limiter, &rule, "a"), 10, "{algorithm:?}");
    }
}

#[test]
fn all_or_none() {
    let (limiter, _clock) = limiter();
    let wide = limiter.rule("wide", per_minute(Algorithm::FixedWindow, 100)).expect("a valid rule");
    let narrow = limiter.rule("narrow", per_minute(Algorithm::SlidingWindow, 2)).expect("a valid rule");
    let asks = [Ask { rule: &wide, key: b"a", cost: 1 }, Ask { rule: &narrow, key: b"a", cost: 1 }];
    for _ in 0..2 {
        assert_eq!(limiter.take(&asks).decision, Decision::Admitted);
    }
    let denied = limiter.take(&asks);
    assert_eq!((denied.decision, denied.tightest), (Decision::Denied, 1));
    assert_eq!(denied.standings[0].remaining, 98, "the denied request must not count anywhere");
}

#[test]
fn the_tightest_has_the_fewest_left() {
    let (limiter, _clock) = limiter();
    let wide = limiter.rule("wide", per_minute(Algorithm::FixedWindow, 100)).expect("a valid rule");
    let narrow = limiter.rule("narrow", per_minute(Algorithm::FixedWindow, 5)).expect("a valid rule");
    let verdict = limiter.take(&[Ask { rule: &wide, key: b"", cost: 1 }, Ask { rule: &narrow, key: b"a", cost: 1 }]);
    assert_eq!(verdict.tightest, 1);
    assert_eq!(limiter.take(&[]).decision, Decision::Admitted);
}

#[test]
fn the_same_counter_twice_in_one_call_counts_twice() {
    for algorithm in ALL {
        let (limiter, _clock) = limiter();
        let rule = rule(&limiter, algorithm, 10);
        let ask = |cost| Ask { rule: &rule, key: b"a", cost };
        let verdict = limiter.take(&[ask(6), ask(6)]);
        assert_eq!((verdict.decision, verdict.tightest), (Decision::Denied, 1), "{algorithm:?}");
        assert_eq!(limiter.take(&[ask(6), ask(4)]).decision, Decision::Admitted, "{algorithm:?}");
        assert_eq!(remaining(&limiter, &rule, "a"), 0, "{algorithm:?}");
    }
}

#[test]
fn looking_counts_nothing_and_keeps_nothing() {
    for algorithm in ALL {
        let (limiter, _clock) = limiter();
        let rule = rule(&limiter, algorithm, 3);
        for _ in 0..5 {
            assert_eq!(remaining(&limiter, &rule, "a"), 3);
        }
        assert_eq!(limiter.len(), 0);
        take(&limiter, &rule, "a", 3);
        assert_eq!(take(&limiter, &rule, "a", 0).decision, Decision::Admitted, "a look at a used-up counter");
    }
}

#[test]
fn a_cost_over_the_limit_is_denied_for_a_window() {
    for algorithm in ALL {
        let (limiter, _clock) = limiter();
        let rule = rule(&limiter, algorithm, 10);
        let verdict = take(&limiter, &rule, "a", 11);
        assert_eq!((verdict.decision, verdict.retry_after.as_secs()), (Decision::Denied, 60), "{algorithm:?}");
        assert_eq!(take(&limiter, &rule, "a", u64::MAX).decision, Decision::Denied, "{algorithm:?}");
        assert_eq!(remaining(&limiter, &rule, "a"), 10, "{algorithm:?}");
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    const MOST: u64 = u64::MAX >> 1;
    for algorithm in ALL {
        let (limiter, clock) = limiter();
        let window = Duration::from_secs(10 * 366 * 86_400);
        let spec = RuleSpec { algorithm, limit: MOST, window, burst: MOST };
        let rule = limiter.rule("huge", spec).expect("a valid rule");
        let taken = take(&limiter, &rule, "a", MOST);
        assert_eq!(taken.decision, Decision::Admitted, "{algorithm:?}");
        assert_eq!(take(&limiter, &rule, "a", MOST).decision, Decision::Denied, "{algorithm:?}");
        limiter.commit(&taken.taken, u64::MAX);
        clock.advance(Duration::from_secs(1));
        assert_eq!(take(&limiter, &rule, "a", MOST).decision, Decision::Denied, "{algorithm:?}");
    }
}

#[test]
fn impossible_rules_are_refused() {
    let (limiter, _clock) = limiter();
    let spec = per_minute(Algorithm::FixedWindow, 1);
    let define = |spec| limiter.rule("r", spec).map(drop);
    assert_eq!(define(RuleSpec { limit: 0, ..spec }), Err(crate::InvalidRule::NoPermits));
    assert_eq!(define(RuleSpec { burst: u64::MAX, ..spec }), Err(crate::InvalidRule::TooManyPermits));
    assert_eq!(define(RuleSpec { window: Duration::ZERO, ..spec }), Err(crate::InvalidRule::WindowTooShort));
    assert_eq!(define(RuleSpec { window: Duration::MAX, ..spec }), Err(crate::InvalidRule::WindowTooLong));
    assert_eq!(define(spec), Ok(()));
}
