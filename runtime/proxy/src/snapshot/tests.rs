use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_keys::{Credential, Credentials, Pepper};
use tollgate_model::{Name, RequestFacts};
use tollgate_plugin_host::{Degraded, Prepared};

use super::*;

/// A configuration in short, and which of its plugins can't be served.
#[derive(Clone, Debug, Default)]
struct Plan {
    routes: BTreeMap<u8, RoutePlan>,
    services: BTreeMap<u8, ServicePlan>,
    /// Ports of the targets of an upstream.
    upstreams: BTreeMap<u8, BTreeSet<u16>>,
    /// Chains of consumers.
    consumers: BTreeMap<u8, Option<u8>>,
    chain: Option<u8>,
    broken: BTreeMap<u8, u8>,
}

#[derive(Clone, Debug)]
struct RoutePlan {
    service: u8,
    path: u8,
    chain: Option<u8>,
}

#[derive(Clone, Debug)]
struct ServicePlan {
    target: Target,
    chain: Option<u8>,
}

#[derive(Clone, Debug)]
enum Target {
    Port(u8),
    /// With a file that is missing.
    Https(u8),
    Upstream(u8),
}

const PLUGINS: u8 = 3;

impl Plan {
    /// References resolve: what leads nowhere is left out.
    fn tree(&self) -> Value {
        let services = self.services.iter().filter(|(_, service)| match service.target {
            Target::Upstream(upstream) => self.upstreams.contains_key(&upstream),
            _ => true,
        });
        let services: BTreeMap<_, _> = services.collect();
        let chain = |plugin: &Option<u8>| Value::from_iter(plugin.map(|plugin| format!("p{plugin}")));
        let service = |(name, service): (&&u8, &&ServicePlan)| {
            let (name, chain) = (format!("s{name}"), chain(&service.chain));
            let url = |scheme, port| format!("{scheme}://127.0.0.1:{}", 1000 + u16::from(port));
            match service.target {
                Target::Port(port) => json!({ "name": name, "url": url("http", port), "chain": chain }),
                Target::Https(port) => {
                    json!({ "name": name, "url": url("https", port), "chain": chain, "tls": { "ca_file": "missing.pem" } })
                }
                Target::Upstream(upstream) => {
                    json!({ "name": name, "upstream": format!("u{upstream}"), "chain": chain })
                }
            }
        };
        let routes = self.routes.iter().filter(|(_, route)| services.contains_key(&route.service));
        let route = |(name, route): (&u8, &RoutePlan)| {
            let (path, service) = (format!("/{}", route.path), format!("s{}", route.service));
            json!({ "name": format!("r{name}"), "service": service, "paths": [path], "chain": chain(&route.chain),
                "priority": name })
        };
        let upstream = |(name, ports): (&u8, &BTreeSet<u16>)| {
            let targets: Vec<_> = ports.iter().map(|port| json!({ "address": format!("127.0.0.1:{port}") })).collect();
            json!({ "name": format!("u{name}"), "targets": targets })
        };
        let consumer =
            |(name, plugin): (&u8, &Option<u8>)| json!({ "name": format!("c{name}"), "chain": chain(plugin) });
        json!({
            "routes": routes.map(route).collect::<Value>(),
            "services": services.iter().map(service).collect::<Value>(),
            "upstreams": self.upstreams.iter().map(upstream).collect::<Value>(),
            "consumers": self.consumers.iter().map(consumer).collect::<Value>(),
            "plugins": (0..PLUGINS).map(|n| json!({ "name": format!("p{n}") })).collect::<Value>(),
            "chain": chain(&self.chain),
        })
    }

    /// All plugins are degraded: ones that serve need a module. Those of `broken` for another reason.
    fn prepared(&self) -> Prepared {
        let plugin = |n: u8| {
            let reason = format!("reason {}", self.broken.get(&n).unwrap_or(&0));
            (name(&format!("p{n}")), Err(Degraded(reason.into())))
        };
        Prepared { plugins: (0..PLUGINS).map(plugin).collect(), ..Prepared::default() }
    }
}

struct World {
    builder: Builder,
    set: Arc<ConfigSet>,
    credentials: Arc<Credentials>,
}

impl World {
    fn new() -> World {
        let builder = Builder::new(pepper(), "/nonexistent", Duration::from_secs(1));
        let key = |n: u8| Credential {
            hash: pepper().hash_key(&[n]),
            consumer: format!("c{n}").into(),
            id: "key".into(),
            expires: 0,
        };
        let credentials = Arc::new(Credentials::of((0..4).map(key)));
        World { builder, set: Arc::default(), credentials }
    }

    fn build(&mut self, plan: &Plan) -> Arc<Snapshot> {
        self.set = Arc::new(ConfigSet::assemble(&plan.tree(), Some(&self.set)).unwrap());
        self.builder.build(&self.set, &self.credentials, &plan.prepared())
    }
}

fn pepper() -> Arc<Pepper> {
    Arc::new(Pepper::from_bytes([1; 32]))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// What can be seen of a snapshot.
#[derive(Debug, PartialEq)]
struct Seen {
    degraded: Vec<(String, String)>,
    routes: Vec<Option<(String, String)>>,
    paths: Vec<Option<String>>,
    targets: Vec<(String, Vec<String>)>,
    endpoints: BTreeSet<String>,
    healths: Vec<String>,
    keys: Vec<Option<String>>,
    unrouted: bool,
}

fn seen(snapshot: &Snapshot) -> Seen {
    use tollgate_plugin_host::Directory as _;
    let entry = |n: u8| snapshot.route(&format!("r{n}"));
    let shown = |endpoint: &Arc<Endpoint>| format!("{:?}", endpoint.address());
    let balanced = |route: &RouteEntry| match &route.service.balancer {
        Ok(balancer) => balancer.endpoints().map(shown).collect(),
        Err(reason) => vec![reason.clone()],
    };
    let found = |n: u8| Some(snapshot.router().find(&asked(&format!("/{n}")))?.route.name.to_string());
    let entries: Vec<_> = (0..4).filter_map(entry).collect();
    Seen {
        degraded: snapshot.degraded(),
        routes: (0..4)
            .map(|n| entry(n).map(|entry| (format!("{:?}", entry.route), format!("{:?}", entry.chain.as_ref().err()))))
            .collect(),
        paths: (0..4).map(found).collect(),
        targets: entries.iter().map(|route| (route.service.name.to_string(), balanced(route))).collect(),
        endpoints: snapshot.endpoints().iter().map(shown).collect(),
        healths: snapshot.healths().iter().map(|health| health.report().name).collect(),
        keys: (0..4)
            .map(|n| snapshot.directory.find_key(&[n]).map(|identity| identity.consumer_name.to_string()))
            .collect(),
        unrouted: snapshot.unrouted().is_some(),
    }
}

struct Asked {
    path: String,
    headers: HeaderMap,
}

fn asked(path: &str) -> Asked {
    Asked { path: path.to_owned(), headers: HeaderMap::new() }
}

impl RequestFacts for Asked {
    fn method(&self) -> &Method {
        &Method::GET
    }
    fn host(&self) -> &str {
        "host"
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
        Ipv4Addr::LOCALHOST.into()
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Route(u8, Option<RoutePlan>),
    Service(u8, Option<ServicePlan>),
    Upstream(u8, Option<BTreeSet<u16>>),
    Consumer(u8, Option<Option<u8>>),
    Chain(Option<u8>),
    Broken(u8, u8),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let few = || 0u8..4;
    let plugin = || prop::option::weighted(0.3, 0..PLUGINS);
    let target = prop_oneof![
        few().prop_map(Target::Port),
        (0u8..2).prop_map(Target::Https),
        (0u8..2).prop_map(Target::Upstream),
    ];
    let route = (few(), few(), plugin()).prop_map(|(service, path, chain)| RoutePlan { service, path, chain });
    let service = (target, plugin()).prop_map(|(target, chain)| ServicePlan { target, chain });
    prop_oneof![
        4 => (few(), prop::option::weighted(0.8, route)).prop_map(|(n, route)| Edit::Route(n, route)),
        4 => (few(), prop::option::weighted(0.8, service)).prop_map(|(n, service)| Edit::Service(n, service)),
        2 => (0u8..2, prop::option::weighted(0.8, prop::collection::btree_set(1000u16..1004, 1..4)))
            .prop_map(|(n, ports)| Edit::Upstream(n, ports)),
        1 => (few(), prop::option::weighted(0.7, plugin())).prop_map(|(n, chain)| Edit::Consumer(n, chain)),
        1 => plugin().prop_map(Edit::Chain),
        1 => (0..PLUGINS, 0u8..3).prop_map(|(n, reason)| Edit::Broken(n, reason)),
    ]
}

fn set<V>(map: &mut BTreeMap<u8, V>, key: u8, value: Option<V>) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl Plan {
    fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Route(n, route) => set(&mut self.routes, n, route),
            Edit::Service(n, service) => set(&mut self.services, n, service),
            Edit::Upstream(n, ports) => set(&mut self.upstreams, n, ports),
            Edit::Consumer(n, chain) => set(&mut self.consumers, n, chain),
            Edit::Chain(chain) => self.chain = chain,
            Edit::Broken(n, reason) => drop(self.broken.insert(n, reason)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_is_the_same_whatever_was_before_it(
        steps in prop::collection::vec(prop::collection::vec(any_edit(), 1..6), 1..12),
    ) {
        let (mut world, mut plan) = (World::new(), Plan::default());
        for edits in steps {
            edits.into_iter().for_each(|edit| plan.apply(edit));
            let changed = world.build(&plan);
            prop_assert_eq!(seen(&changed), seen(&World::new().build(&plan)), "{:?}", plan);
            let again = world.build(&plan);
            prop_assert!(changed.has_services_of(&again) && changed.has_uses_of(&again));
            prop_assert!(Arc::ptr_eq(&changed.directory, &again.directory));
            for n in 0..4 {
                let (old, new) = (changed.route(&format!("r{n}")), again.route(&format!("r{n}")));
                prop_assert!(old.map(Arc::as_ptr) == new.map(Arc::as_ptr));
            }
        }
    }
}

fn plan() -> Plan {
    let mut plan = Plan::default();
    plan.upstreams.insert(0, [1000, 1001].into());
    for n in 0..3 {
        let target = if n == 2 { Target::Upstream(0) } else { Target::Port(n) };
        plan.services.insert(n, ServicePlan { target, chain: None });
        plan.routes.insert(n, RoutePlan { service: n, path: n, chain: None });
    }
    plan
}

#[test]
fn what_a_change_does_not_concern_stays_what_it_was() {
    let (mut world, mut plan) = (World::new(), plan());
    let before = world.build(&plan);
    plan.routes.insert(0, RoutePlan { service: 0, path: 7, chain: None });
    let after = world.build(&plan);
    let entry = |snapshot: &Snapshot, route: &str| Arc::clone(snapshot.route(route).unwrap());
    assert!(!Arc::ptr_eq(&entry(&before, "r0"), &entry(&after, "r0")));
    assert!(Arc::ptr_eq(&entry(&before, "r0").service, &entry(&after, "r0").service));
    assert!(Arc::ptr_eq(&entry(&before, "r1"), &entry(&after, "r1")));
    assert!(before.has_services_of(&after));
    assert_eq!(after.router().find(&asked("/7")).map(|found| found.route.name.to_string()).unwrap(), "r0");
    assert!(before.router().find(&asked("/7")).is_none(), "the old one is as it was");

    plan.upstreams.insert(0, [1001, 1002].into());
    let moved = world.build(&plan);
    let endpoints = |snapshot: &Snapshot| -> Vec<_> {
        entry(snapshot, "r2").service.balancer.as_ref().unwrap().endpoints().cloned().collect()
    };
    assert!(Arc::ptr_eq(&endpoints(&after)[1], &endpoints(&moved)[0]), "its connections and load outlive the change");
    assert!(Arc::ptr_eq(&entry(&after, "r1"), &entry(&moved, "r1")));
    // Another service is there too.
    assert!(moved.endpoints().holds(&endpoints(&after)[0]));
    plan.services.remove(&0);
    plan.routes.remove(&0);
    assert!(!world.build(&plan).endpoints().holds(&endpoints(&after)[0]));
}

#[test]
fn what_is_retired_is_freed_when_no_request_holds_it() {
    let (mut world, mut plan) = (World::new(), plan());
    let before = world.build(&plan);
    assert!(!world.builder.let_go());
    plan.consumers.insert(0, None);
    world.build(&plan);
    let request = Arc::clone(&before.directory);
    drop(before);
    assert!(world.builder.let_go(), "a request holds it");
    drop(request);
    assert!(!world.builder.let_go());
}
