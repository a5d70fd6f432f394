use super::*;

#[test]
fn a_refund_gives_back_what_was_taken() {
    for algorithm in ALL {
        let (limiter, _clock) = limiter();
        let rule = rule(&limiter, algorithm, 10);
        take(&limiter, &rule, "a", 3);
        let taken = take(&limiter, &rule, "a", 4).taken;
        limiter.refund(&taken);
        assert_eq!(remaining(&limiter, &rule, "a"), 7, "{algorithm:?}");
    }
}

#[test]
fn a_commit_settles_the_cost_up_or_down() {
    for algorithm in ALL {
        let (limiter, _clock) = limiter();
        let rule = rule(&limiter, algorithm, 10);
        let taken = take(&limiter, &rule, "a", 4).taken;
        limiter.commit(&taken, 1);
        assert_eq!(remaining(&limiter, &rule, "a"), 9, "{algorithm:?}");
        let taken = take(&limiter, &rule, "a", 1).taken;
        limiter.commit(&taken, 50);
        assert_eq!(remaining(&limiter, &rule, "a"), 0, "{algorithm:?}");
        assert!(!admitted(&limiter, &rule, "a"), "{algorithm:?}");
    }
}

#[test]
fn every_ask_of_a_verdict_is_settled() {
    let (limiter, _clock) = limiter();
    let minute = limiter.rule("minute", per_minute(Algorithm::FixedWindow, 10)).expect("a valid rule");
    let bucket = limiter.rule("bucket", per_minute(Algorithm::TokenBucket, 20)).expect("a valid rule");
    let asks = [
        Ask { rule: &minute, key: b"a", cost: 2 },
        Ask { rule: &bucket, key: b"b", cost: 5 },
        Ask { rule: &bucket, key: b"looked at only", cost: 0 },
    ];
    let taken = limiter.take(&asks).taken;
    limiter.commit(&taken, 3);
    assert_eq!(remaining(&limiter, &minute, "a"), 7);
    assert_eq!(remaining(&limiter, &bucket, "b"), 17);
    assert_eq!(remaining(&limiter, &bucket, "looked at only"), 20);
}

#[test]
fn a_refund_that_comes_late_opens_no_later_window() {
    for algorithm in ALL {
        let (limiter, clock) = limiter();
        let rule = rule(&limiter, algorithm, 10);
        let early = take(&limiter, &rule, "a", 10).taken;
        clock.advance(Duration::from_secs(120));
        take(&limiter, &rule, "a", 10);
        limiter.refund(&early);
        assert!(!admitted(&limiter, &rule, "a"), "{algorithm:?}");
    }
}

/// What is known only when the counter is long gone counts from then on.
#[test]
fn a_late_commit_charges_what_was_not_taken() {
    for algorithm in ALL {
        let (limiter, clock) = limiter();
        let rule = rule(&limiter, algorithm, 60);
        let taken = take(&limiter, &rule, "a", 1).taken;
        clock.advance(Duration::from_secs(600));
        limiter.sweep();
        assert_eq!(limiter.len(), 0);
        limiter.commit(&taken, 41);
        assert_eq!(remaining(&limiter, &rule, "a"), 20, "{algorithm:?}");
    }
}
