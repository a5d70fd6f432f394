//! What is told of it.

use serde::Serialize;
use tollgate_model::entity::{Destination, Service, Target};
use tollgate_model::router::{Candidates, Considered, Decided, Miss};
use tollgate_model::{ChainLink, Condition, ConfigSet, Kind, Name, RequestFacts};

use super::question::Question;
use crate::admin::chain::level;
use crate::node::{NodeStatus, TargetOut};
use crate::refusal::Refusal;
use crate::view::{ConditionView, TargetView, url};

#[derive(Serialize)]
pub(super) struct Explanation<'a> {
    request: RequestView<'a>,
    /// What serves it; null where nothing does, and it is answered with 404.
    route: Option<CandidateView<'a>>,
    /// Routes that match as well, in the order in which they would serve if those before were not there.
    others: Vec<CandidateView<'a>>,
    /// Routes whose paths match, and what keeps them from serving.
    missed: Vec<CandidateView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServicePart<'a>>,
    /// In the order in which they run; those of the consumer behind.
    chain: Vec<LinkPart<'a>>,
    /// Why it would be answered with 503 on this node.
    degraded: Vec<String>,
    warnings: Vec<String>,
}

/// As it is matched.
#[derive(Serialize)]
struct RequestView<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

#[derive(Serialize)]
struct CandidateView<'a> {
    name: &'a Name,
    service: &'a Name,
    /// Which of its hosts and paths; null where it states none.
    host: Option<String>,
    path: Option<String>,
    priority: i32,
    /// Why the one before it, or what it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct ServicePart<'a> {
    name: &'a Name,
    /// Scheme, host and port, where it is one place.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a Name>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<TargetPart>,
    /// Path and query as they are sent, if no plugin changes them.
    sends: String,
    /// What is sent as Host: `client` or `target`.
    host: &'static str,
}

#[derive(Serialize)]
struct TargetPart {
    #[serde(flatten)]
    target: TargetView,
    /// Why it gets no requests now.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<TargetOut>,
}

#[derive(Serialize)]
struct LinkPart<'a> {
    plugin: &'a Name,
    module: &'a Name,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<ConditionView<'a>>,
    /// Whether its condition holds; null where that depends on what was not told.
    runs: Option<bool>,
}

impl<'a> Explanation<'a> {
    pub(super) fn new(
        question: &'a Question,
        set: &'a ConfigSet,
        status: &NodeStatus,
        found: &Candidates<'a>,
        links: &'a [ChainLink],
    ) -> Explanation<'a> {
        let others =
            found.matching.windows(2).map(|pair| CandidateView::new(&pair[1], Some(reason(&pair[0], &pair[1]))));
        let missed = found.missed.iter().map(|(one, misses)| CandidateView::new(one, Some(lacking(misses))));
        let serving = found.matching.first();
        let service = serving.and_then(|one| Some((one, set.services.get(&one.route.service)?)));
        Explanation {
            request: RequestView {
                method: question.method().as_str(),
                host: question.host(),
                path: question.path(),
                query: question.query(),
            },
            route: serving.map(|one| CandidateView::new(one, None)),
            others: others.take(MOST_SHOWN).collect(),
            missed: missed.take(MOST_SHOWN).collect(),
            service: service.map(|(one, service)| ServicePart::new(one, service, question, set, status)),
            chain: links.iter().map(|link| LinkPart::new(link, question)).collect(),
            degraded: serving.map(|one| degraded(one, links, set, status)).unwrap_or_default(),
            warnings: serving.map(|one| set.lint_route(one.route)).unwrap_or_default(),
        }
    }
}

impl<'a> CandidateView<'a> {
    fn new(one: &Considered<'a>, why: Option<String>) -> CandidateView<'a> {
        CandidateView {
            name: &one.route.name,
            service: &one.route.service,
            host: one.host.map(ToString::to_string),
            path: one.path.map(ToString::to_string),
            priority: one.route.priority,
            why,
        }
    }
}

/// Why `first` comes before `second`.
fn reason(first: &Considered<'_>, second: &Considered<'_>) -> String {
    let (name, other) = (&first.route.name, &second.route.name);
    match first.before(second) {
        Decided::Priority => {
            format!("`{name}` has the higher priority ({} before {})", first.route.priority, second.route.priority)
        }
        Decided::Host => format!("`{name}` names the host more exactly"),
        Decided::Path => format!("`{name}` names the path more exactly"),
        Decided::Conditions => format!("`{name}` asks for more (methods, headers, query)"),
        Decided::Name => format!("all else is alike, and `{name}` comes before `{other}` in the alphabet"),
    }
}

/// Names only: a value may be a secret.
fn lacking(misses: &[Miss<'_>]) -> String {
    let word = |miss: &Miss<'_>| match miss {
        Miss::Host => "the host is none of its hosts".to_owned(),
        Miss::Method => "the method is none of its methods".to_owned(),
        Miss::Header(name) => format!("the header `{name}` is not as it asks for"),
        Miss::Query(name) => format!("the query parameter `{name}` is not as it asks for"),
    };
    misses.iter().map(word).collect::<Vec<_>>().join(", ")
}

impl<'a> ServicePart<'a> {
    fn new(
        one: &Considered<'_>,
        service: &'a Service,
        question: &Question,
        set: &'a ConfigSet,
        status: &NodeStatus,
    ) -> ServicePart<'a> {
        let (place, upstream) = match &service.destination {
            Destination::Host { scheme, host, port } => (Some(url(*scheme, host, *port)), None),
            Destination::Upstream { upstream, .. } => (None, Some(upstream)),
        };
        let targets = upstream.and_then(|name| set.upstreams.get(name)).map(|upstream| &upstream.targets[..]);
        let out = upstream.and_then(|name| status.upstreams.iter().find(|upstream| upstream.name == name.as_str()));
        let target = |target: &Target| {
            let target = TargetView::from(target);
            let out = out.and_then(|upstream| upstream.targets_out.iter().find(|out| out.target == target.address));
            TargetPart { target, out: out.cloned() }
        };
        ServicePart {
            name: &service.name,
            url: place,
            upstream,
            targets: targets.unwrap_or_default().iter().map(target).collect(),
            sends: sent(one, service, question),
            host: if one.route.preserve_host { "client" } else { "target" },
        }
    }
}

fn sent(one: &Considered<'_>, service: &Service, question: &Question) -> String {
    let prefix = if one.route.strip_path { one.matched_prefix() } else { 0 };
    let path = &question.path()[prefix..];
    let path = match (path, &*service.path) {
        ("" | "/", "") => "/",
        ("/", _) => "",
        (path, _) => path,
    };
    let mark = if question.query().is_empty() { "" } else { "?" };
    format!("{}{path}{mark}{}", service.path, question.query())
}

/// What the request meets: the route's chain, and that of the consumer who is said to be calling.
pub(super) fn links(
    serving: Option<&Considered<'_>>,
    question: &Question,
    set: &ConfigSet,
) -> Result<Vec<ChainLink>, Refusal> {
    let Some(serving) = serving else { return Ok(Vec::new()) };
    let mut links = set.route_chain(serving.route).links;
    if let Some(name) = &question.consumer {
        let no = || Refusal::BadRequest(format!("there is no consumer `{name}`"));
        let consumer = set.consumers.get(name.as_str()).ok_or_else(no)?;
        links.extend(set.consumer_chain(consumer).links);
    }
    Ok(links)
}

impl<'a> LinkPart<'a> {
    fn new(link: &'a ChainLink, question: &Question) -> LinkPart<'a> {
        let undecided = |when: &Condition| question.address.is_none() && asks_for_address(when);
        LinkPart {
            plugin: &link.plugin.name,
            module: &link.plugin.module,
            level: level(link.level),
            when: link.when.as_ref().map(ConditionView::from),
            runs: match &link.when {
                None => Some(true),
                Some(when) if undecided(when) => None,
                Some(when) => Some(when.holds(question)),
            },
        }
    }
}

fn asks_for_address(when: &Condition) -> bool {
    !when.addresses.is_empty() || when.not.as_deref().is_some_and(asks_for_address)
}

/// What of the route, its service and its plugins can't be used on this node.
fn degraded(one: &Considered<'_>, links: &[ChainLink], set: &ConfigSet, status: &NodeStatus) -> Vec<String> {
    let mut entities = vec![(Kind::Route, one.route.name.as_str()), (Kind::Service, one.route.service.as_str())];
    entities.extend(links.iter().map(|link| (Kind::Plugin, link.plugin.name.as_str())));
    let mut reasons = Vec::new();
    for (kind, name) in entities {
        let place = format!("{kind} {name}");
        let told = status.degraded_places.iter().find(|degraded| degraded.place == place);
        let told = told.map(|degraded| &degraded.reason);
        if let Some(reason) = told.or_else(|| set.broken.get(&(kind, name.to_owned()))) {
            reasons.push(format!("{place}: {reason}"));
        }
    }
    reasons
}

/// Nobody reads more.
const MOST_SHOWN: usize = 20;
