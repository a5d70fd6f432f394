//! What is sent.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Something behind the gateway that answers requests: `url`, or `upstream` with `scheme` and `path`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    /// As in `http://10.0.0.1:8080/api`.
    url: Option<String>,
    upstream: Option<String>,
    scheme: Option<Scheme>,
    path: Option<String>,
    protocol: Option<Protocol>,
    tls: Option<UpstreamTls>,
    timeouts: Option<Timeouts>,
    retries: Option<Retries>,
    chain: Option<Vec<ChainEntry>>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    Http,
    Https,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Http1,
    Http2,
    Auto,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpstreamTls {
    verify: Option<bool>,
    ca_file: Option<String>,
    server_name: Option<String>,
    client_certificate: Option<String>,
}

/// Durations, as in `250ms`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Timeouts {
    connect: Option<String>,
    response: Option<String>,
    idle: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retries {
    #[schema(minimum = 1, maximum = 10)]
    attempts: Option<u16>,
    per_try_timeout: Option<String>,
    on: Option<Vec<RetryOn>>,
    methods: Option<Vec<String>>,
    /// As in `64KiB`.
    body_size: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum RetryOn {
    ConnectFailure,
    Timeout,
    Reset,
    #[serde(rename = "502")]
    BadGateway,
    #[serde(rename = "503")]
    Unavailable,
    #[serde(rename = "504")]
    GatewayTimeout,
}

/// The name of a plugin, perhaps with a condition.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum ChainEntry {
    Name(String),
    When(ConditionalEntry),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConditionalEntry {
    plugin: String,
    #[schema(value_type = Option<Object>)]
    when: Option<Map<String, Value>>,
}

/// A set of targets that answer alike.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    balance: Option<Balance>,
    #[schema(min_items = 1)]
    targets: Vec<Target>,
    #[schema(value_type = Option<Object>)]
    ejection: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    health_check: Option<Map<String, Value>>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Balance {
    RoundRobin,
    LeastRequests,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// As in `10.0.0.1:8080`.
    address: String,
    weight: Option<u16>,
}

/// Which requests go to which service; at least one of `hosts`, `paths`, `methods`, `headers`, `query`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    service: String,
    hosts: Option<Vec<String>>,
    /// `/prefix`, `=/exact`, `/users/{id}` or `~/regex`.
    paths: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    headers: Option<BTreeMap<String, Vec<String>>>,
    query: Option<BTreeMap<String, Vec<String>>>,
    priority: Option<i32>,
    strip_path: Option<bool>,
    preserve_host: Option<bool>,
    chain: Option<Vec<ChainEntry>>,
    tags: Option<Vec<String>>,
}

/// A route to the service of the path.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRoute {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    hosts: Option<Vec<String>>,
    paths: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    headers: Option<BTreeMap<String, Vec<String>>>,
    query: Option<BTreeMap<String, Vec<String>>>,
    priority: Option<i32>,
    strip_path: Option<bool>,
    preserve_host: Option<bool>,
    chain: Option<Vec<ChainEntry>>,
    tags: Option<Vec<String>>,
}

/// A configured use of a module.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    /// Default: the name.
    module: Option<String>,
    #[schema(value_type = Option<Object>)]
    config: Option<Map<String, Value>>,
    on_error: Option<OnError>,
    isolation: Option<Isolation>,
    grants: Option<Grants>,
    limits: Option<PluginLimits>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OnError {
    Closed,
    Open,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Isolation {
    Shared,
    Request,
}

/// What the operator allows a plugin to do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Grants {
    credentials: Option<bool>,
    files: Option<Vec<String>>,
    standard_output: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PluginLimits {
    cpu: Option<String>,
    wall: Option<String>,
}

/// Somebody who calls services through the gateway. `keys` are all that it has from then on; without them it keeps
/// those that it has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Consumer {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    custom_id: Option<String>,
    groups: Option<Vec<String>>,
    keys: Option<Vec<NewKey>>,
    chain: Option<Vec<ChainEntry>>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    id: Option<String>,
    /// One of your own; without it one is made.
    #[schema(min_length = 8, max_length = 512)]
    key: Option<String>,
    expires_at: Option<Expiry>,
}

/// RFC 3339, or seconds since 1970.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Expiry {
    Moment(String),
    Seconds(u64),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    /// Default: `read-only`.
    role: Option<Role>,
    expires_at: Option<Expiry>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Role {
    Admin,
    ReadOnly,
}

/// A certificate chain and its key in PEM: in files of each node, or as texts. One of the two pairs is there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Option<String>,
    certificate_file: Option<String>,
    key_file: Option<String>,
    certificate: Option<String>,
    /// Shown as `[hidden]`, which keeps the stored one where it comes back.
    key: Option<String>,
    tags: Option<Vec<String>>,
}

/// Which certificate a client that asks for a host is shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sni {
    host: Option<String>,
    certificate: String,
}

/// The plugins of every request, in their order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    chain: Vec<ChainEntry>,
}

/// As a file says it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    chain: Option<Vec<ChainEntry>>,
    services: Option<Vec<Service>>,
    upstreams: Option<Vec<Upstream>>,
    routes: Option<Vec<Route>>,
    consumers: Option<Vec<Consumer>>,
    certificates: Option<Vec<Certificate>>,
    snis: Option<Vec<Sni>>,
    plugins: Option<Vec<Plugin>>,
}
