//! The cost of plugins without a proxy around them: a hook that does nothing, each call that a hook can make into the
//! gateway, and the request hooks of a whole chain. Wants built plugins: `cargo xtask bench micro` sees to it.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tollgate_limits::Local;
use tollgate_model::ConfigSet;
use tollgate_plugin_host::{
    Authority, CompiledChain, Directory, Exchange, Host, HostConfig, Identity, Outcome, RequestHead, Run, Worker,
};

criterion_group!(benches, host_calls, chains);
criterion_main!(benches);

/// The calls of benches/guest. One of which each leaves something behind in the request is made less often.
const CALLS: [(&str, u32); 23] = [
    ("request-get", MANY),
    ("request-header", MANY),
    ("request-header-text", MANY),
    ("request-set-header", MANY),
    ("request-set-header-bytes", MANY),
    ("request-set-header-number", MANY),
    ("request-query-parameter", MANY),
    ("value-new", MANY),
    ("value-read", MANY),
    ("value-equals", MANY),
    ("context-get", MANY),
    ("context-set", MANY),
    ("context-get-number", MANY),
    ("context-set-number", MANY),
    ("credentials-find-key", MANY),
    ("credentials-authenticated", MANY),
    ("limiter-take", 50),
    ("kv-get", MANY),
    ("kv-set", MANY),
    ("clock-now", MANY),
    ("clock-monotonic", MANY),
    ("random-number", MANY),
    ("random-bytes", MANY),
];
const MANY: u32 = 1000;
const KEY: &str = "8f14e45fceea167a5a36dedd4bea2543";

/// What a hook costs that calls nothing is taken off, so that the figure is that of the call.
fn host_calls(criterion: &mut Criterion) {
    let rig = Rig::start("guests");
    let empty = rig.chain(&[caller("nothing", 0)]);
    criterion.bench_function("hook/nothing", |bencher| bencher.iter_custom(|count| rig.requests(&empty, count)));
    let mut group = criterion.benchmark_group("host-call");
    for (call, times) in CALLS {
        let chain = rig.chain(&[caller(call, times)]);
        group.bench_function(call, |bencher| {
            bencher.iter_custom(|count| {
                let hooks = count.div_ceil(times.into());
                let took = rig.requests(&chain, hooks).saturating_sub(rig.requests(&empty, hooks));
                took.mul_f64(count as f64 / (hooks * u64::from(times)) as f64).max(Duration::from_nanos(1))
            });
        });
    }
}

fn chains(criterion: &mut Criterion) {
    let rig = Rig::start("plugins");
    let key_auth = json!({ "name": "key-auth", "module": "key-auth", "grants": { "credentials": true } });
    let limit = json!([{ "limit": 1_000_000_000, "window": "1m", "by": "consumer" }]);
    let rate_limit = json!({ "name": "rate-limit", "module": "rate-limiting", "config": { "limits": limit } });
    let mut fresh = [key_auth.clone(), rate_limit.clone()];
    for plugin in &mut fresh {
        plugin["isolation"] = "request".into();
    }
    let mut group = criterion.benchmark_group("chain");
    for (name, plugins) in [
        ("empty", &[][..]),
        ("key-auth", std::slice::from_ref(&key_auth)),
        ("key-auth, rate-limiting", &[key_auth.clone(), rate_limit]),
        ("key-auth, rate-limiting, fresh instances", &fresh),
    ] {
        let chain = rig.chain(plugins);
        group.bench_function(name, |bencher| bencher.iter_custom(|count| rig.requests(&chain, count)));
    }
}

fn caller(call: &str, times: u32) -> Value {
    let config = json!({ "call": call, "times": times });
    json!({ "name": "caller", "module": "caller", "grants": { "credentials": true }, "config": config })
}

/// A host with the modules of a folder, and the one worker that calls them.
struct Rig {
    runtime: Runtime,
    host: Arc<Host>,
    worker: Rc<Worker>,
    directory: Arc<dyn Directory>,
    _data: tempfile::TempDir,
}

impl Rig {
    fn start(modules: &str) -> Rig {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let data = tempfile::tempdir().expect("there is room for a folder");
        let config = HostConfig { instances: 64, ..HostConfig::new(folder(modules), data.path().to_owned()) };
        let host = Host::start(config, Arc::new(Local::new())).expect("the plugin host starts");
        runtime.block_on(host.refresh_all());
        let worker = Worker::new(Arc::clone(&host));
        Rig { runtime, host, worker, directory: Arc::new(Consumers(identity())), _data: data }
    }

    fn chain(&self, plugins: &[Value]) -> Arc<CompiledChain> {
        let names: Vec<&Value> = plugins.iter().map(|plugin| &plugin["name"]).collect();
        let tree = json!({
            "services": [{ "name": "service", "url": "http://127.0.0.1:1" }],
            "routes": [{ "name": "route", "service": "service", "paths": ["/"], "chain": names }],
            "plugins": plugins,
        });
        let set = ConfigSet::assemble(&tree, None).expect("a valid configuration");
        let Ok(prepared) = self.runtime.block_on(self.host.prepare_first(&set)) else {
            panic!("a module does not accept its settings: build the plugins with `cargo xtask build-plugins`")
        };
        let route = set.routes.values().next().expect("there is one route");
        CompiledChain::compile(&set.route_chain(route), &prepared).unwrap_or_else(|reason| {
            panic!("{}: build the plugins with `cargo xtask build-plugins`", reason.0);
        })
    }

    /// The time that so many requests take in their chain; making them does not count.
    fn requests(&self, chain: &Arc<CompiledChain>, count: u64) -> Duration {
        self.runtime.block_on(async {
            let mut took = Duration::ZERO;
            for _ in 0..count {
                let mut exchange = Exchange::new(head());
                exchange.consult(Arc::clone(&self.directory));
                let started = Instant::now();
                let run = Run::begin(Arc::clone(chain), &exchange.request);
                let (exchange, outcome) = self.worker.on_request(&run, exchange).await;
                took += started.elapsed();
                assert!(matches!(outcome, Outcome::Continue), "{outcome:?}");
                drop(exchange);
            }
            took
        })
    }
}

/// Where modules lie: as the bench's own chore says, or where it leaves them.
#[allow(clippy::disallowed_methods, reason = "criterion owns the command line")]
fn folder(modules: &str) -> PathBuf {
    let chosen = std::env::var_os(format!("TOLLGATE_{}", modules.to_uppercase()));
    chosen.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(modules), PathBuf::from)
}

fn head() -> RequestHead {
    let field = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let fields = [
        field("host", "api.example.com"),
        field("user-agent", "bench"),
        field("accept", "*/*"),
        field("x-field", "sixteen bytes---"),
        field("apikey", KEY),
    ];
    RequestHead {
        id: HeaderValue::from_static("0197f0a1c4e87d3a9b52"),
        method: Method::GET,
        uri: Uri::from_static("/orders/4711?page=2"),
        version: Version::HTTP_11,
        headers: HeaderMap::from_iter(fields),
        scheme: "http",
        authority: Authority::new(HeaderValue::from_static("api.example.com"), 15),
        client: [127, 0, 0, 1].into(),
        peer: ([127, 0, 0, 1], 4711).into(),
        route: "route".into(),
        service: "service".into(),
        target: None,
        host_override: None,
        sent: false,
    }
}

/// Knows one key, without hashing it: what the key index costs is not the boundary's.
struct Consumers(Arc<Identity>);

impl Directory for Consumers {
    fn find_key(&self, key: &[u8]) -> Option<Arc<Identity>> {
        (key == KEY.as_bytes()).then(|| Arc::clone(&self.0))
    }

    fn find_anonymous(&self, _: &str) -> Option<Arc<Identity>> {
        None
    }
}

fn identity() -> Arc<Identity> {
    let name = HeaderName::from_static("x-consumer-username");
    Arc::new(Identity {
        consumer_id: "1".into(),
        consumer_name: "consumer-0001".into(),
        custom_id: None,
        credential_id: Some("1".into()),
        anonymous: false,
        headers: vec![(name, HeaderValue::from_static("consumer-0001"))],
    })
}
