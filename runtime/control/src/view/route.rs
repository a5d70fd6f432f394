use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::Route;

use super::ChainEntryView;
use super::condition::{Matches, header_matches, methods, query_matches, texts};

#[derive(Serialize)]
pub(crate) struct RouteView<'a> {
    name: &'a Name,
    service: &'a Name,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    methods: Vec<&'a str>,
    #[serde(skip_serializing_if = "Matches::is_empty")]
    headers: Matches<'a>,
    #[serde(skip_serializing_if = "Matches::is_empty")]
    query: Matches<'a>,
    priority: i32,
    strip_path: bool,
    preserve_host: bool,
    chain: Vec<ChainEntryView<'a>>,
    tags: &'a [String],
}

impl<'a> From<&'a Route> for RouteView<'a> {
    fn from(route: &'a Route) -> RouteView<'a> {
        RouteView {
            name: &route.name,
            service: &route.service,
            hosts: texts(&route.hosts),
            paths: texts(&route.paths),
            methods: methods(&route.methods),
            headers: header_matches(&route.headers),
            query: query_matches(&route.query),
            priority: route.priority,
            strip_path: route.strip_path,
            preserve_host: route.preserve_host,
            chain: ChainEntryView::list(&route.chain),
            tags: &route.tags,
        }
    }
}
