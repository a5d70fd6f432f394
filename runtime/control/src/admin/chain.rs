//! The effective chain of a route.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tollgate_model::{ChainLink, Level, Name};

use super::Node;
use super::answer::{EntityName, answer};
use crate::refusal::Refusal;
use crate::view::{ConditionView, on_error};

/// The first part of the chain, in the order in which it runs. The consumer's own entries follow it.
#[derive(Serialize)]
struct ChainView<'a> {
    route: &'a Name,
    service: &'a Name,
    data: Vec<LinkView<'a>>,
    /// Always null: a chain comes whole.
    next: Option<String>,
    /// What is allowed but probably not meant.
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct LinkView<'a> {
    plugin: &'a Name,
    module: &'a Name,
    /// Of the entry that stands here; the inner one where it replaced an outer one.
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<ConditionView<'a>>,
    on_error: &'static str,
}

pub(super) async fn of_route(State(node): State<Node>, EntityName(name): EntityName) -> Result<Response, Refusal> {
    let set = node.configuration();
    let Some(route) = set.routes.get(name.as_str()) else { return Err(Refusal::NoEntity { kind: "route", name }) };
    let chain = set.route_chain(route);
    answer(&ChainView {
        route: &route.name,
        service: &route.service,
        data: chain.links.iter().map(LinkView::from).collect(),
        next: None,
        warnings: set.lint_route(route),
    })
}

impl<'a> From<&'a ChainLink> for LinkView<'a> {
    fn from(link: &'a ChainLink) -> LinkView<'a> {
        LinkView {
            plugin: &link.plugin.name,
            module: &link.plugin.module,
            level: level(link.level),
            when: link.when.as_ref().map(ConditionView::from),
            on_error: on_error(link.plugin.on_error),
        }
    }
}

pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::Global => "global",
        Level::Service => "service",
        Level::Route => "route",
        Level::Consumer => "consumer",
    }
}
