//! The cost of looking at and changing header fields, which half of what a gateway does consists of: in a head as
//! browsers send it.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

criterion_group!(benches, access);
criterion_main!(benches);

const FIELDS: [(&str, &str); 12] = [
    ("host", "api.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json, text/plain;q=0.9, */*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.8,de;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.com/orders"),
    ("origin", "https://shop.example.com"),
    ("cookie", "session=3f1c9a7be2d84a51; theme=dark"),
    ("sec-fetch-mode", "cors"),
    ("x-request-id", "0197f0a1c4e87d3a9b52"),
    ("apikey", "8f14e45fceea167a5a36dedd4bea2543"),
    ("x-client-version", "2026.11.1"),
];

fn access(criterion: &mut Criterion) {
    let head = head();
    let own = HeaderName::from_static("apikey");
    let mut group = criterion.benchmark_group("fields");
    group.bench_function("get, standard name", |bencher| bencher.iter(|| black_box(&head).get(ACCEPT)));
    group.bench_function("get, own name", |bencher| bencher.iter(|| black_box(&head).get(&own)));
    group.bench_function("get, own name as text", |bencher| bencher.iter(|| black_box(&head).get(black_box("apikey"))));
    group.bench_function("get, absent", |bencher| bencher.iter(|| black_box(&head).get(AUTHORIZATION)));
    group.bench_function("all", |bencher| {
        bencher.iter(|| black_box(&head).iter().map(|(_, value)| value.len()).sum::<usize>())
    });
    let value = HeaderValue::from_static("orders");
    let mut changed = |name: &str, change: fn(&mut HeaderMap, HeaderValue)| {
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (head.clone(), value.clone()),
                |(head, value)| change(head, value.clone()),
                BatchSize::SmallInput,
            );
        });
    };
    changed("insert", |head, value| drop(head.insert(HeaderName::from_static("x-consumer-username"), value)));
    changed("replace", |head, value| drop(head.insert(USER_AGENT, value)));
    changed("remove", |head, _| drop(head.remove("apikey")));
    group.finish();
}

fn head() -> HeaderMap {
    let field = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    FIELDS.into_iter().map(field).collect()
}
