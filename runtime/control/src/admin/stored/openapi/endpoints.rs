//! Every path and method, what it takes and how it answers.

use tollgate_model::Kind;
use utoipa::openapi::HttpMethod;

use crate::admin::stored::body::Also;
use crate::admin::stored::collection::KINDS;

/// A method of a path.
pub(in crate::admin::stored) struct Endpoint {
    pub(in crate::admin::stored) method: HttpMethod,
    pub(in crate::admin::stored) path: String,
    /// The group that it is shown in.
    pub(super) tag: &'static str,
    pub(super) summary: String,
    pub(super) query: &'static [&'static str],
    /// What is sent: the schema's name.
    pub(super) body: Option<(&'static str, Also)>,
    /// How it answers when all is well: status and the schema's name.
    pub(super) answers: Vec<(u16, Option<&'static str>)>,
    /// A write: it may be dry, waited for, in conflict.
    pub(super) is_write: bool,
    /// Heeds `If-Match` and `If-None-Match`.
    pub(super) is_conditional: bool,
}

pub(in crate::admin::stored) fn endpoints() -> Vec<Endpoint> {
    let mut all = Vec::new();
    for kind in KINDS {
        all.extend(of_kind(kind));
    }
    all.extend(nested());
    all.extend(credentials());
    all.extend(whole());
    all.extend(node());
    all
}

fn of_kind(kind: Kind) -> Vec<Endpoint> {
    let (word, section) = (kind.word(), kind.section());
    let (sent, shown, list) = schemas(kind);
    let (all, one) = (format!("/{section}"), format!("/{section}/{{name}}"));
    vec![
        read(all.clone(), section, format!("All {section}, in the order of their names"), list)
            .query(&["size", "after", "tags"]),
        write(HttpMethod::Post, all, section, format!("Makes a {word}"))
            .sends(sent, Also::Form)
            .answers(201, Some(shown))
            .conditional(),
        read(one.clone(), section, format!("A {word}, by name or id"), shown).conditional(),
        write(HttpMethod::Put, one.clone(), section, format!("Makes a {word}, or replaces it"))
            .sends(sent, Also::Form)
            .answers(200, Some(shown))
            .answers(201, Some(shown))
            .conditional(),
        write(HttpMethod::Patch, one.clone(), section, format!("Changes parts of a {word} (RFC 7396)"))
            .sends("Patch", Also::Patch)
            .answers(200, Some(shown))
            .conditional(),
        deletion(one, section, format!("Deletes a {word}; 204 too if there is none")).conditional(),
    ]
}

/// Of what is sent, shown, and listed.
fn schemas(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Service => ("Service", "StoredService", "Services"),
        Kind::Upstream => ("Upstream", "StoredUpstream", "Upstreams"),
        Kind::Route => ("Route", "StoredRoute", "Routes"),
        Kind::Plugin => ("Plugin", "StoredPlugin", "Plugins"),
        Kind::Consumer => ("Consumer", "StoredConsumer", "Consumers"),
        Kind::Certificate => ("Certificate", "StoredCertificate", "Certificates"),
        Kind::Sni => ("Sni", "StoredSni", "Snis"),
        Kind::Chain | Kind::Key | Kind::Token | Kind::Module => ("Chain", "StoredChain", "Chain"),
    }
}

fn nested() -> Vec<Endpoint> {
    let chained = |path: &str, whose: &str| {
        write(HttpMethod::Post, path.to_owned(), "plugins", format!("Makes a plugin at the end of {whose} chain"))
            .sends("Plugin", Also::Form)
            .answers(201, Some("StoredPlugin"))
    };
    let targets = "/upstreams/{name}/targets";
    vec![
        write(
            HttpMethod::Post,
            "/services/{name}/routes".to_owned(),
            "routes",
            "Makes a route to the service".to_owned(),
        )
        .sends("NewRoute", Also::Form)
        .answers(201, Some("StoredRoute")),
        chained("/services/{name}/plugins", "the service's"),
        chained("/routes/{name}/plugins", "the route's"),
        chained("/consumers/{name}/plugins", "the consumer's"),
        chained("/chain/plugins", "the global"),
        read(targets.to_owned(), "upstreams", "The targets of an upstream".to_owned(), "Targets")
            .query(&["size", "after"]),
        write(HttpMethod::Post, targets.to_owned(), "upstreams", "Adds a target, or changes its weight".to_owned())
            .sends("Target", Also::Form)
            .answers(200, Some("Target"))
            .answers(201, Some("Target"))
            .conditional(),
        deletion(format!("{targets}/{{address}}"), "upstreams", "Takes a target away".to_owned()).conditional(),
        read(
            "/routes/{name}/chain".to_owned(),
            "routes",
            "The plugins that a request of the route meets".to_owned(),
            "Object",
        ),
        read("/chain".to_owned(), "chain", "The global chain".to_owned(), "StoredChain").conditional(),
        write(HttpMethod::Put, "/chain".to_owned(), "chain", "Replaces the global chain".to_owned())
            .sends("Chain", Also::Form)
            .answers(200, Some("StoredChain"))
            .conditional(),
    ]
}

fn credentials() -> Vec<Endpoint> {
    let (keys, tokens) = ("/consumers/{name}/keys", "/tokens");
    vec![
        read(keys.to_owned(), "keys", "The keys of a consumer, by id and how they begin".to_owned(), "Keys")
            .query(&["size", "after"]),
        write(HttpMethod::Post, keys.to_owned(), "keys", "Makes a key, which is shown this once".to_owned())
            .sends("NewKey", Also::Form)
            .answers(201, Some("MadeKey")),
        read(format!("{keys}/{{id}}"), "keys", "A key, by its id".to_owned(), "Key"),
        deletion(format!("{keys}/{{id}}"), "keys", "Revokes a key".to_owned()).conditional(),
        read(tokens.to_owned(), "tokens", "Who may use this API".to_owned(), "Tokens").query(&["size", "after"]),
        write(HttpMethod::Post, tokens.to_owned(), "tokens", "Makes a token, which is shown this once".to_owned())
            .sends("NewToken", Also::Form)
            .answers(201, Some("MadeToken")),
        read(format!("{tokens}/{{name}}"), "tokens", "A token".to_owned(), "Token"),
        deletion(format!("{tokens}/{{name}}"), "tokens", "Revokes a token".to_owned()).conditional(),
    ]
}

fn whole() -> Vec<Endpoint> {
    let revision = "/revisions/{number}";
    vec![
        read(
            "/config".to_owned(),
            "configuration",
            "The whole configuration, without secrets and keys".to_owned(),
            "Object",
        )
        .query(&["format"]),
        write(
            HttpMethod::Post,
            "/config".to_owned(),
            "configuration",
            "Makes the configuration what the tree says".to_owned(),
        )
        .sends("Config", Also::Toml)
        .answers(200, Some("Changes"))
        .query(&["prune", "dry_run", "wait", "timeout"]),
        Endpoint {
            is_write: false,
            ..write(
                HttpMethod::Post,
                "/config/diff".to_owned(),
                "configuration",
                "What applying the tree would change".to_owned(),
            )
            .sends("Config", Also::Toml)
            .answers(200, Some("Changes"))
            .query(&["prune"])
        },
        read("/revisions".to_owned(), "history", "What was changed, newest first".to_owned(), "Revisions")
            .query(&["size", "after"]),
        read(revision.to_owned(), "history", "One revision, with how everything was and is".to_owned(), "Revision"),
        write(
            HttpMethod::Post,
            format!("{revision}/rollback"),
            "history",
            "Makes everything as it was in a revision".to_owned(),
        )
        .answers(200, Some("Changes")),
        read("/audit".to_owned(), "history", "Who changed what, newest first".to_owned(), "Audit")
            .query(&["size", "after"]),
    ]
}

fn node() -> Vec<Endpoint> {
    vec![
        read("/".to_owned(), "node", "The node and the paths of this API".to_owned(), "Object"),
        read("/status".to_owned(), "node", "How the node is doing".to_owned(), "Object"),
        read("/modules".to_owned(), "node", "The plugin modules on this node".to_owned(), "Objects")
            .query(&["size", "after"]),
        read("/modules/{name}".to_owned(), "modules", "A module that the cluster has".to_owned(), "Object"),
        write(
            HttpMethod::Put,
            "/modules/{name}".to_owned(),
            "modules",
            "Uploads a module for the whole cluster".to_owned(),
        )
        .sends("Module", Also::Wasm)
        .answers(200, Some("Object"))
        .answers(201, Some("Object")),
        deletion(
            "/modules/{name}".to_owned(),
            "modules",
            "Takes a module from the cluster; nodes that have it loaded go on with it".to_owned(),
        )
        .conditional(),
        read("/explain".to_owned(), "node", "How a request would be served, and why".to_owned(), "Object")
            .query(&["method", "url", "header", "address", "consumer"]),
        read("/nodes".to_owned(), "node", "The nodes that follow the database".to_owned(), "Objects"),
        read("/cache/{kind}/{name}".to_owned(), "node", "What this node holds of an entity".to_owned(), "Held"),
        deletion("/cache".to_owned(), "node", "Has everything loaded anew".to_owned())
            .query(&["scope", "dry_run", "wait", "timeout"]),
        read("/openapi.json".to_owned(), "node", "This document".to_owned(), "Object"),
    ]
}

fn read(path: String, tag: &'static str, summary: String, shown: &'static str) -> Endpoint {
    Endpoint {
        method: HttpMethod::Get,
        path,
        tag,
        summary,
        query: &[],
        body: None,
        answers: vec![(200, Some(shown))],
        is_write: false,
        is_conditional: false,
    }
}

fn write(method: HttpMethod, path: String, tag: &'static str, summary: String) -> Endpoint {
    let query = &crate::admin::stored::caller::WRITING;
    Endpoint {
        method,
        path,
        tag,
        summary,
        query,
        body: None,
        answers: Vec::new(),
        is_write: true,
        is_conditional: false,
    }
}

fn deletion(path: String, tag: &'static str, summary: String) -> Endpoint {
    write(HttpMethod::Delete, path, tag, summary).answers(204, None).answers(200, Some("Written"))
}

impl Endpoint {
    fn query(mut self, query: &'static [&'static str]) -> Endpoint {
        self.query = query;
        self
    }

    fn sends(mut self, schema: &'static str, also: Also) -> Endpoint {
        self.body = Some((schema, also));
        self
    }

    fn answers(mut self, status: u16, schema: Option<&'static str>) -> Endpoint {
        self.answers.push((status, schema));
        self
    }

    fn conditional(mut self) -> Endpoint {
        self.is_conditional = true;
        self
    }
}
