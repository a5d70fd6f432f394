//! For tests: a node of plain data, a listener on a free port, and a client that shows every byte.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::oneshot;
use tollgate_model::ConfigSet;
use tollgate_model::normal_form::PathRules;
use tollgate_model::units::TimeSpan;

use crate::node::{
    CertificateState, CertificateStatus, ConfigurationStatus, DegradedPlace, EntityCounts, Failure, Histogram,
    ModuleCounts, ModuleState, ModuleView, NodeMetrics, NodeStatus, Phase, PluginState, PluginStatus, TargetOut,
    TargetState, UpstreamStatus,
};
use crate::{NodeView, Timestamp};

#[derive(Clone)]
pub(crate) struct FakeNode {
    pub(crate) set: Arc<ConfigSet>,
    pub(crate) status: NodeStatus,
    pub(crate) modules: Vec<ModuleView>,
    pub(crate) plugins: Vec<PluginStatus>,
    pub(crate) metrics: NodeMetrics,
}

impl NodeView for FakeNode {
    fn configuration(&self) -> Arc<ConfigSet> {
        Arc::clone(&self.set)
    }

    fn status(&self) -> NodeStatus {
        self.status.clone()
    }

    fn modules(&self) -> Vec<ModuleView> {
        self.modules.clone()
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        self.plugins.clone()
    }

    fn path_rules(&self) -> PathRules {
        PathRules::Strict
    }

    fn metrics(&self) -> NodeMetrics {
        self.metrics.clone()
    }
}

impl FakeNode {
    /// A node that serves `tree`, has two modules, and once was given a broken file.
    pub(crate) fn serving(tree: &Value) -> FakeNode {
        let set = ConfigSet::assemble(tree, None).unwrap_or_else(|problems| panic!("{problems}"));
        let failure = Failure { message: "no such service\n  --> line 3".to_owned(), at: moment(90) };
        let modules = vec![module("rate-limiting", ModuleState::Serving), module("key-auth", ModuleState::Stale)];
        let ready = |name: &str| PluginStatus {
            name: name.to_owned(),
            state: PluginState::Ready,
            reason: None,
            generation: Some(3),
            digest: Some("d1935t".to_owned()),
        };
        let status = NodeStatus {
            node: "node-1".to_owned(),
            version: "0.1.0".to_owned(),
            started_at: moment(0),
            uptime: Duration::from_millis(90_700),
            phase: Phase::Serving,
            workers: 2,
            worker_faults: Vec::new(),
            configuration: ConfigurationStatus {
                source: "file:gateway.toml".to_owned(),
                digest: Some("c0ff33".to_owned()),
                revision: None,
                loaded_at: Some(moment(1)),
                generation: 4,
                last_error: Some(failure),
            },
            database: None,
            counts: EntityCounts::of(&set),
            degraded_places: vec![DegradedPlace { place: "route old".to_owned(), reason: "no module".to_owned() }],
            certificates: vec![CertificateStatus {
                name: "main".to_owned(),
                state: CertificateState::ExpiresSoon,
                expires_at: Some(moment(600)),
                problem: None,
            }],
            upstreams: vec![UpstreamStatus {
                name: "pair".to_owned(),
                serving: 1,
                ejected: 1,
                unhealthy: 0,
                targets_out: vec![TargetOut {
                    target: "10.0.0.1:80".to_owned(),
                    state: TargetState::Ejected,
                    reason: "reset".to_owned(),
                    tried_in: Some(TimeSpan(Duration::from_secs(9))),
                }],
            }],
            modules: ModuleCounts::of(&modules),
        };
        let plugins = set.plugins.keys().map(|name| ready(name.as_str())).collect();
        FakeNode { set: Arc::new(set), status, modules, plugins, metrics: metrics() }
    }
}

fn moment(seconds: u64) -> Timestamp {
    Timestamp(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn module(name: &str, state: ModuleState) -> ModuleView {
    ModuleView {
        name: name.to_owned(),
        state,
        generation: Some(3),
        digest: Some("d1935t".to_owned()),
        size: Some(4096),
        version: Some("1.0.0".to_owned()),
        description: None,
        hooks: vec!["on-request"],
        capabilities: Vec::new(),
        loaded_at: Some(moment(1)),
        alive: 2,
        loads: 3,
        from_cluster: false,
        overrides: None,
        last_error: None,
        faults: BTreeMap::from([("trap", 2)]),
        last_fault: None,
    }
}

fn metrics() -> NodeMetrics {
    let histogram = Histogram { bounds: &[0.005, 0.5], counts: vec![7, 2, 1], sum: 3.25 };
    NodeMetrics {
        requests: vec![("2xx", 9), ("4xx", 1)],
        versions: vec![("2", 4)],
        connection_faults: vec![("http2_flood", 1)],
        request_duration: histogram.clone(),
        upstream_duration: histogram,
        connections: 5,
        connections_by_worker: vec![3, 2],
        connections_limited: vec![("node", 4), ("address", 0)],
        connections_handed_over: 8,
        connections_accepted: 12,
        upstream_connections: 2,
        upstream_retries: vec![("sent", 4), ("over_budget", 1)],
        upstream_ejections: 3,
        upstream_errors: vec![("connect_failed", 1)],
        plugin_faults: vec![("limits".to_owned(), vec![("trap", 0)])],
        errors: vec![("no_route", 1)],
        log_records_dropped: 0,
        sink_writes_dropped: 0,
        reloads_applied: 4,
        reloads_refused: 1,
        limiter_counters: 6,
        held_bodies: 7,
    }
}

/// A listener with its own runtime; ends with the value.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

pub(crate) type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Running {
    pub(crate) fn start<F>(serve: impl FnOnce(TcpListener, Shutdown) -> F + Send + 'static) -> Running
    where
        F: Future<Output = io::Result<()>>,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let shutdown = Box::pin(async { stopped.await.unwrap_or_default() });
            runtime.block_on(serve(listener, shutdown))
        });
        Running { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn stop(mut self) -> io::Result<()> {
        drop(self.stop.take());
        self.thread.take().expect("stopped once only").join().expect("no panic")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("Host", "localhost")])
    }

    pub(crate) fn send(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send_with(method, path, fields, "")
    }

    /// The body's length is among `fields`.
    pub(crate) fn send_with(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        let request = format!("{method} {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("a request");
        read_answer(stream)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As it came, the status line included.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_else(|| panic!("no message: {self:?}")).to_owned()
    }
}

/// Reads up to the end of the connection.
pub(crate) fn read_answer(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
