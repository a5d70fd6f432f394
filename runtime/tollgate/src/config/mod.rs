//! The node's own file, `tollgate.toml`: how this node runs, not what it serves.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod cluster;
mod log;
mod plugins;
mod proxy;
mod reach;
mod redis;
mod store;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tollgate_model::decode::{Decode, Fields, Place};
use tollgate_model::problem::{Complaint, Elsewhere};
use tollgate_model::units::TimeSpan;
use tollgate_model::{Problem, Problems, decode};
use tollgate_plugin_host::HostConfig;
use tollgate_proxy::{ProxyConfig, TlsConfig};
use tollgate_store::Document;

use crate::cmd::Invalid;
pub use cluster::ClusterConfig;
pub use log::LogConfig;
pub use reach::Reach;
pub use redis::RedisConfig;
pub use store::{DatabaseConfig, StoreConfig};
pub use tls::NO_CERTIFICATE;

/// A valid node configuration; all paths are ready to use.
#[derive(Debug)]
pub struct NodeConfig {
    pub name: String,
    /// The folder that the node writes into; it exists.
    pub data: PathBuf,
    pub proxy_addresses: Vec<SocketAddr>,
    /// Where clients connect by TLS; empty without [`NodeConfig::tls`].
    pub tls_addresses: Vec<SocketAddr>,
    pub tls: Option<TlsConfig>,
    /// What the authorities of client certificates in it were read from.
    pub client_ca_file: Option<PathBuf>,
    pub workers: usize,
    pub proxy: ProxyConfig,
    pub admin_address: SocketAddr,
    pub admin: AdminConfig,
    pub status_address: SocketAddr,
    pub store: StoreConfig,
    pub cluster: ClusterConfig,
    /// What nodes tell each other of changes by; only with a database. `None`: they look now and then.
    pub redis: Option<RedisConfig>,
    /// Where relative paths in the gateway's configuration start.
    pub base: PathBuf,
    pub plugins: HostConfig,
    /// How long a draining node goes on accepting, so that balancers notice first.
    pub drain_delay: Duration,
    pub log: LogConfig,
}

/// As written, before paths and defaults of the machine are filled in.
struct Raw {
    node: NodeTable,
    proxy: proxy::ProxyTable,
    admin: AdminTable,
    status: SocketAddr,
    store: store::StoreTable,
    cluster: cluster::ClusterTable,
    redis: Option<redis::RedisTable>,
    plugins: plugins::PluginsTable,
    drain: DrainTable,
    log: LogConfig,
}

impl NodeConfig {
    /// Reads, checks and completes the file; everything wrong with it is reported at once.
    pub fn load(path: &Path) -> anyhow::Result<NodeConfig> {
        let mut document = Document::open(path, ABSENT).map_err(Invalid)?;
        document.expand(environment);
        let raw = document.read(decode::whole::<Raw>).map_err(Invalid)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let data = folder.join(raw.node.data);
        std::fs::create_dir_all(&data).with_context(|| {
            format!("the data folder {} can't be made; see node.data in {}", data.display(), path.display())
        })?;
        let data = data.canonicalize()?;
        let store = raw.store.complete(folder);
        Ok(NodeConfig {
            name: raw.node.name.unwrap_or_else(host_name),
            workers: raw.proxy.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            proxy_addresses: raw.proxy.listen,
            tls: raw.proxy.tls.as_ref().map(|tls| tls.complete(folder)).transpose()?,
            client_ca_file: raw.proxy.tls.as_ref().and_then(|tls| tls.client_ca_file(folder)),
            tls_addresses: raw.proxy.tls.map(|tls| tls.listen).unwrap_or_default(),
            proxy: ProxyConfig { drain: raw.drain.timeout, ..raw.proxy.config },
            admin_address: raw.admin.listen,
            admin: raw.admin.config,
            cluster: raw.cluster.complete(folder),
            redis: raw.redis.map(|redis| redis.complete(folder)).transpose()?,
            status_address: raw.status,
            base: store.folder(folder).to_owned(),
            store,
            plugins: raw.plugins.complete(folder, data.clone()),
            data,
            drain_delay: raw.drain.delay,
            log: raw.log,
        })
    }
}

impl Decode for Raw {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Raw> {
        let mut fields = Fields::open(value, place, problems);
        let node = fields.optional("node", NodeTable::default());
        let proxy = table(&mut fields, "proxy", proxy::ProxyTable::default());
        let admin = table(&mut fields, "admin", AdminTable::default());
        let status = table(&mut fields, "status", ListenTable { listen: ([127, 0, 0, 1], 8007).into() });
        let store = table(&mut fields, "store", store::StoreTable::default());
        let redis = fields.maybe("redis");
        let plugins = fields.optional("plugins", plugins::PluginsTable::default());
        let drain = fields.optional("drain", DrainTable::default());
        let log = fields.optional("log", LogConfig::default());
        let cluster = fields.optional("cluster", cluster::ClusterTable::default());
        let status = status.map(|status| status.listen);
        let at = admin.as_ref().map(|admin| admin.listen);
        refuse_shared_addresses(&listeners(proxy.as_ref(), at, status), value, &mut fields);
        fields.finish()?;
        Some(Raw {
            node,
            proxy: proxy?,
            admin: admin?,
            status: status?,
            store: store?,
            cluster,
            redis,
            plugins,
            drain,
            log,
        })
    }
}

/// The table at `key`, or `default` if the key is not there; `None` if it is refused.
fn table<T: Decode>(fields: &mut Fields<'_, '_>, key: &'static str, default: T) -> Option<T> {
    if fields.has(key) { fields.maybe(key) } else { Some(default) }
}

/// All that is listened on as far as it is known, with the key that says so.
fn listeners(
    proxy: Option<&proxy::ProxyTable>,
    admin: Option<SocketAddr>,
    status: Option<SocketAddr>,
) -> Vec<(&'static str, SocketAddr)> {
    let mut listeners = Vec::new();
    if let Some(proxy) = proxy {
        listeners.extend(proxy.listen.iter().map(|&address| ("proxy.listen", address)));
        let tls = proxy.tls.iter().flat_map(|tls| &tls.listen);
        listeners.extend(tls.map(|&address| ("proxy.tls.listen", address)));
    }
    listeners.extend(admin.map(|address| ("admin.listen", address)));
    listeners.extend(status.map(|address| ("status.listen", address)));
    listeners
}

/// Two listeners of which the second could not be opened.
fn refuse_shared_addresses(listeners: &[(&'static str, SocketAddr)], tree: &Value, fields: &mut Fields<'_, '_>) {
    let is_written = |key: &str| tree.pointer(&format!("/{}", key.replace('.', "/"))).is_some();
    for (index, &later) in listeners.iter().enumerate() {
        let overlaps =
            |other: SocketAddr| is_same(later.1, other) || is_within(later.1, other) || is_within(other, later.1);
        let Some(&earlier) = listeners[..index].iter().find(|(_, other)| overlaps(*other)) else { continue };
        let ((key, address), (other, its)) = if is_written(later.0) { (later, earlier) } else { (earlier, later) };
        let message = match (key == other, is_same(address, its)) {
            (true, true) => format!("`{key}` has the same address twice"),
            (true, false) => format!("`{key}` has an address that is within another of it"),
            (false, true) => format!("`{key}` is the same address as `{other}`"),
            (false, false) if is_within(address, its) => format!("`{key}` is within `{other}`"),
            (false, false) => format!("`{other}` is within `{key}`"),
        };
        let mut problem = Problem::new(&Place::Root, message);
        problem.path = key.to_owned();
        problem.hint = Some(match is_written(other) {
            true if key == other => "leave one of the two out; [::] takes what 0.0.0.0 does as well".to_owned(),
            true => "give each listener a port of its own".to_owned(),
            false => format!("`{other}` is {its} unless it is written; give one of the two another port"),
        });
        if key != other && is_written(other) {
            problem.elsewhere = Some(Elsewhere { path: other.to_owned(), label: "listened on here".to_owned() });
        }
        fields.add(problem);
    }
}

/// A port that the system chooses (0) is never the same one.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    let ip = |address: SocketAddr| address.ip().to_canonical();
    // A link-local address is another one on each interface.
    let scope = |address: SocketAddr| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    one.port() != 0 && one.port() == other.port() && ip(one) == ip(other) && scope(one) == scope(other)
}

/// What listens on all addresses takes those of one as well, and `[::]` those of IPv4 too: listeners
/// are dual-stack.
fn is_within(narrow: SocketAddr, wide: SocketAddr) -> bool {
    let takes = match wide.ip().to_canonical() {
        IpAddr::V4(all) => all.is_unspecified() && narrow.ip().to_canonical().is_ipv4(),
        IpAddr::V6(all) => all.is_unspecified(),
    };
    takes && narrow.port() != 0 && narrow.port() == wide.port()
}

struct NodeTable {
    name: Option<String>,
    data: PathBuf,
}

impl Default for NodeTable {
    fn default() -> Self {
        NodeTable { name: None, data: "data".into() }
    }
}

impl Decode for NodeTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<NodeTable> {
        let mut fields = Fields::open(value, place, problems);
        let name = fields.maybe("name");
        let data = fields.optional("data", NodeTable::default().data);
        fields.finish()?;
        Some(NodeTable { name, data })
    }
}

struct ListenTable {
    listen: SocketAddr,
}

impl Decode for ListenTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<ListenTable> {
        let mut fields = Fields::open(value, place, problems);
        let listen = fields.required("listen");
        fields.finish()?;
        Some(ListenTable { listen: listen? })
    }
}

/// What the admin API is told of its surroundings.
#[derive(Debug, Default)]
pub struct AdminConfig {
    /// Host names under which it is asked, besides `localhost` and its address.
    pub hosts: Vec<String>,
    /// What clients reach it by.
    pub public_url: Option<String>,
}

struct AdminTable {
    listen: SocketAddr,
    config: AdminConfig,
}

impl Default for AdminTable {
    fn default() -> Self {
        AdminTable { listen: ([127, 0, 0, 1], 8001).into(), config: AdminConfig::default() }
    }
}

impl Decode for AdminTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<AdminTable> {
        let defaults = AdminTable::default();
        let mut fields = Fields::open(value, place, problems);
        let listen: SocketAddr = fields.optional("listen", defaults.listen);
        if !listen.ip().is_loopback() {
            let hint = "use 127.0.0.1 and reach it through a tunnel, or a proxy on this machine that speaks TLS";
            fields.refuse("listen", Complaint::new("the admin API listens on loopback addresses only", hint));
        }
        let hosts = fields.optional("hosts", Vec::new());
        let public_url: Option<String> = fields.maybe("public_url");
        if public_url.as_deref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            fields.refuse("public_url", Complaint::new("this is no URL", "as in \"https://admin.example.com\""));
        }
        fields.finish()?;
        Some(AdminTable { listen, config: AdminConfig { hosts, public_url } })
    }
}

struct DrainTable {
    delay: Duration,
    timeout: Duration,
}

impl Default for DrainTable {
    fn default() -> Self {
        DrainTable { delay: Duration::ZERO, timeout: ProxyConfig::default().drain }
    }
}

impl Decode for DrainTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<DrainTable> {
        let defaults = DrainTable::default();
        let mut fields = Fields::open(value, place, problems);
        let TimeSpan(delay) = fields.optional("delay", TimeSpan(defaults.delay));
        let TimeSpan(timeout) = fields.optional("timeout", TimeSpan(defaults.timeout));
        fields.finish()?;
        Some(DrainTable { delay, timeout })
    }
}

/// What `${env:NAME}` stands for.
#[allow(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

const ABSENT: &str = "`--config` (`-c`) names it, and is tollgate.toml in this folder unless it is given; begin with a \
                      copy of examples/quickstart/tollgate.toml, or with an empty file for the defaults";

#[cfg(test)]
mod tests;
