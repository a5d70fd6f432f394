//! What a change of the configuration costs a node, by how many routes there are: building all that requests are
//! served by, and building it again after one route, one service, one key, or nothing changed. Dropping the snapshot
//! before it is not included: that is for after the swap.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollgate_keys::{Credential, CredentialEdit, Credentials, Pepper};
use tollgate_model::entity::{
    Consumer, Destination, PathPattern, Protocol, Retries, Route, Scheme, Service, Timeouts, UpstreamTls,
};
use tollgate_model::{ConfigSet, Name};
use tollgate_plugin_host::Prepared;
use tollgate_proxy::Builder;

criterion_group!(benches, building);
criterion_main!(benches);

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const ROUTES_PER_SERVICE: usize = 10;
const KEYS_PER_ROUTE: usize = 10;

/// A change of one thing; the number makes it another one each time.
type Edit = fn(&mut ConfigSet, &mut Arc<Credentials>, usize);

const EDITS: [(&str, Edit); 5] = [
    ("nothing", |_, _, _| {}),
    ("route", |set, _, n| {
        let (name, route) = set.routes.iter().nth(n % set.routes.len()).expect("there are routes");
        let path = PathPattern::Prefix(format!("/changed-{n}"));
        let route = Route { paths: vec![path], ..Route::clone(route) };
        set.routes.insert(name.clone(), Arc::new(route));
    }),
    ("service", |set, _, n| {
        let (name, service) = set.services.iter().nth(n % set.services.len()).expect("there are services");
        let service = Service { path: format!("/{n}"), ..Service::clone(service) };
        set.services.insert(name.clone(), Arc::new(service));
    }),
    ("consumer", |set, _, n| {
        let (name, consumer) = set.consumers.iter().nth(n % set.consumers.len()).expect("there are consumers");
        let consumer = Consumer { custom_id: Some(n.to_string()), ..Consumer::clone(consumer) };
        set.consumers.insert(name.clone(), Arc::new(consumer));
    }),
    ("key", |_, credentials, n| {
        *credentials = Arc::new(credentials.changed([CredentialEdit::from(key(usize::MAX - n))]));
    }),
];

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10);
    for size in SIZES {
        let (set, credentials) = (Arc::new(set(size)), keys(size * KEYS_PER_ROUTE));
        let prepared = Prepared::default();
        group.bench_function(BenchmarkId::new("all", size), |bencher| {
            bencher.iter_with_large_drop(|| {
                let mut builder = builder();
                (builder.build(&set, &credentials, &prepared), builder)
            });
        });
        for (what, edit) in EDITS {
            let mut builder = builder();
            let mut last = builder.build(&set, &credentials, &prepared);
            let (mut set, mut credentials, mut n) = (ConfigSet::clone(&set), Arc::clone(&credentials), 0);
            group.bench_function(BenchmarkId::new(what, size), |bencher| {
                bencher.iter_custom(|times| {
                    let mut taken = Duration::ZERO;
                    for _ in 0..times {
                        n += 7919;
                        edit(&mut set, &mut credentials, n);
                        let next = Arc::new(set.clone());
                        let started = Instant::now();
                        let snapshot = builder.build(&next, &credentials, &prepared);
                        taken += started.elapsed();
                        last = snapshot;
                    }
                    std::hint::black_box(&last);
                    taken
                });
            });
        }
    }
}

fn builder() -> Builder {
    Builder::new(Arc::new(Pepper::from_bytes([1; 32])), ".", Duration::from_secs(10))
}

fn set(routes: usize) -> ConfigSet {
    let services = routes / ROUTES_PER_SERVICE;
    ConfigSet {
        routes: (0..routes).map(|i| route(i, i % services)).map(|route| (route.name.clone(), route.into())).collect(),
        services: (0..services).map(service).map(|service| (service.name.clone(), service.into())).collect(),
        consumers: (0..routes).map(consumer).map(|consumer| (consumer.name.clone(), consumer.into())).collect(),
        ..ConfigSet::default()
    }
}

fn name(kind: &str, i: usize) -> Name {
    Name::parse(&format!("{kind}-{i}")).expect("a valid name")
}

fn route(i: usize, service: usize) -> Route {
    Route {
        name: name("route", i),
        service: name("service", service),
        hosts: vec![],
        paths: vec![PathPattern::Prefix(format!("/api/v1/things-{i}"))],
        methods: vec![],
        headers: vec![],
        query: vec![],
        priority: 0,
        strip_path: false,
        preserve_host: false,
        chain: vec![],
        tags: vec![],
    }
}

fn service(i: usize) -> Service {
    Service {
        name: name("service", i),
        destination: Destination::Host { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port: 1024 + i as u16 },
        path: String::new(),
        protocol: Protocol::Http1,
        timeouts: Timeouts::default(),
        retries: Retries::default(),
        tls: UpstreamTls::default(),
        chain: vec![],
        tags: vec![],
    }
}

fn consumer(i: usize) -> Consumer {
    let name = name("consumer", i);
    Consumer { name, custom_id: None, groups: vec![], keys: vec![], chain: vec![], tags: vec![] }
}

fn keys(keys: usize) -> Arc<Credentials> {
    Arc::new(Credentials::of((0..keys).map(key)))
}

fn key(i: usize) -> Credential {
    let pepper = Pepper::from_bytes([1; 32]);
    let hash = pepper.hash_key(&i.to_le_bytes());
    Credential { hash, consumer: name("consumer", i / KEYS_PER_ROUTE).shared(), id: format!("k{i}").into(), expires: 0 }
}
