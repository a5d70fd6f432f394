//! The cost of asking the limiter: by algorithm, by the number of asks of a request and of counters that are held.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollgate_limits::{Algorithm, Ask, Local, Rule, RuleSpec};

criterion_group!(benches, algorithms, asks, counters);
criterion_main!(benches);

/// Never reached.
const LIMIT: u64 = 1 << 60;

fn algorithms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limiter/take");
    for (name, algorithm) in [
        ("fixed window", Algorithm::FixedWindow),
        ("sliding window", Algorithm::SlidingWindow),
        ("token bucket", Algorithm::TokenBucket),
    ] {
        let local = Local::new();
        let rule = rule(&local, name, algorithm);
        let ask = [Ask { rule: &rule, key: b"consumer-0001", cost: 1 }];
        group.bench_function(name, |bencher| bencher.iter(|| local.take(black_box(&ask))));
    }
}

/// A limit a second, a minute and an hour is usual.
fn asks(criterion: &mut Criterion) {
    let local = Local::new();
    let rules = ["second", "minute", "hour"].map(|name| rule(&local, name, Algorithm::SlidingWindow));
    let mut group = criterion.benchmark_group("limiter/asks");
    for count in 1..=rules.len() {
        let asks: Vec<Ask<'_>> =
            rules[..count].iter().map(|rule| Ask { rule, key: b"consumer-0001", cost: 1 }).collect();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| local.take(black_box(&asks)))
        });
    }
}

/// Counters that are asked for in turn, so that they are as cold as in real traffic.
fn counters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limiter/counters");
    for count in [1, 1_000, 100_000] {
        let local = Local::new();
        let rule = rule(&local, "many", Algorithm::SlidingWindow);
        let keys: Vec<String> = (0..count).map(|number| format!("consumer-{number}")).collect();
        let mut next = keys.iter().cycle();
        let mut take = || {
            let key = next.next().expect("endless").as_bytes();
            local.take(&[Ask { rule: &rule, key, cost: 1 }])
        };
        for _ in 0..count {
            take();
        }
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| bencher.iter(&mut take));
    }
}

fn rule(local: &Local, name: &str, algorithm: Algorithm) -> Rule {
    let spec = RuleSpec { algorithm, limit: LIMIT, window: Duration::from_secs(3600), burst: 0 };
    local.rule(name, spec).expect("a valid rule")
}
