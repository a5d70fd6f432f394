//! The cost of finding a request's route, by the number of routes and by what tells them apart. The
//! requests are spread over all routes, so that caches are as cold as in real traffic, but stand in
//! the caches themselves, as a request just read from its socket does.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method};
use tollgate_model::entity::{HostPattern, PathPattern, Route};
use tollgate_model::{Name, RequestFacts, Router};

criterion_group!(benches, lookups, building);
criterion_main!(benches);

const SIZES: [usize; 3] = [1, 1_000, 100_000];

/// How a set of routes looks, and what asks for one of them.
struct Shape {
    name: &'static str,
    host: fn(usize) -> Option<HostPattern>,
    path: fn(usize) -> PathPattern,
    asked_host: fn(usize) -> String,
    asked_path: fn(usize) -> String,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "exact",
        host: |_| None,
        path: |i| PathPattern::Exact(format!("/api/v1/items/item-{i}")),
        asked_host: |_| "api.example.com".to_owned(),
        asked_path: |i| format!("/api/v1/items/item-{i}"),
    },
    Shape {
        name: "prefix",
        host: |_| None,
        path: |i| PathPattern::Prefix(format!("/api/service-{i}")),
        asked_host: |_| "api.example.com".to_owned(),
        asked_path: |i| format!("/api/service-{i}/orders/4711"),
    },
    Shape {
        name: "host",
        host: |i| Some(HostPattern::Exact(format!("tenant-{i}.example.com"))),
        path: |_| PathPattern::Prefix("/orders".to_owned()),
        asked_host: |i| format!("tenant-{i}.example.com"),
        asked_path: |_| "/orders/4711".to_owned(),
    },
    Shape {
        name: "parameters",
        host: |_| None,
        path: |i| PathPattern::Parameters(format!("/api/service-{i}/users/{{id}}")),
        asked_host: |_| "api.example.com".to_owned(),
        asked_path: |i| format!("/api/service-{i}/users/4711"),
    },
];

fn lookups(criterion: &mut Criterion) {
    for shape in &SHAPES {
        let mut group = criterion.benchmark_group(format!("router/{}", shape.name));
        for size in SIZES {
            let router = Router::build(routes(shape, size));
            let mut asked = scattered(size);
            let mut request = || Request::of(shape, asked.next().expect("endless"));
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter_batched_ref(
                    &mut request,
                    |request| router.find(black_box(request)).expect("each request has its route").matched_prefix,
                    BatchSize::NumIterations(256),
                );
            });
        }
    }
}

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("router/build");
    group.sample_size(10);
    for shape in &SHAPES {
        let routes = routes(shape, 100_000);
        group.bench_function(shape.name, |bencher| bencher.iter(|| Router::build(routes.iter().cloned())));
    }
}

fn routes(shape: &Shape, size: usize) -> Vec<(Arc<Route>, usize)> {
    let name = |i| Name::parse(&format!("route-{i}")).expect("a valid name");
    let route = |i| Route {
        name: name(i),
        service: name(i),
        hosts: (shape.host)(i).into_iter().collect(),
        paths: vec![(shape.path)(i)],
        methods: vec![],
        headers: vec![],
        query: vec![],
        priority: 0,
        strip_path: false,
        preserve_host: false,
        chain: vec![],
        tags: vec![],
    };
    (0..size).map(|i| (Arc::new(route(i)), i)).collect()
}

/// Numbers below `size` without a pattern that a prefetcher could learn.
fn scattered(size: usize) -> impl Iterator<Item = usize> {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    (1..).map(move |i: u64| (i.wrapping_mul(STEP) >> 32) as usize % size)
}

struct Request {
    host: String,
    path: String,
    headers: HeaderMap,
}

impl Request {
    fn of(shape: &Shape, route: usize) -> Request {
        Request { host: (shape.asked_host)(route), path: (shape.asked_path)(route), headers: HeaderMap::new() }
    }
}

impl RequestFacts for Request {
    fn method(&self) -> &Method {
        &Method::GET
    }
    fn host(&self) -> &str {
        &self.host
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> &str {
        ""
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    fn client_address(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}
