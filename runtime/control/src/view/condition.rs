//! What routes and chain entries match on.

use std::collections::BTreeMap;
use std::fmt::Display;

use axum::http::Method;
use serde::Serialize;
use tollgate_model::entity::{ChainEntry, HeaderMatch, QueryMatch};
use tollgate_model::{Condition, Name};

use super::address;
use tollgate_model::secrets::{HIDDEN, is_secret_name};

/// The name alone where there is no condition.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum ChainEntryView<'a> {
    Always(&'a Name),
    When { plugin: &'a Name, when: ConditionView<'a> },
}

#[derive(Serialize)]
pub(crate) struct ConditionView<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    methods: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
    #[serde(skip_serializing_if = "Matches::is_empty")]
    headers: Matches<'a>,
    #[serde(skip_serializing_if = "Matches::is_empty")]
    query: Matches<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not: Option<Box<ConditionView<'a>>>,
}

/// Names and the values looked for; no value means that the name is there at all.
pub(super) type Matches<'a> = BTreeMap<&'a str, Vec<&'a str>>;

impl<'a> ChainEntryView<'a> {
    pub(crate) fn list(chain: &'a [ChainEntry]) -> Vec<ChainEntryView<'a>> {
        chain.iter().map(ChainEntryView::from).collect()
    }
}

impl<'a> From<&'a ChainEntry> for ChainEntryView<'a> {
    fn from(entry: &'a ChainEntry) -> ChainEntryView<'a> {
        match &entry.when {
            None => ChainEntryView::Always(&entry.plugin),
            Some(when) => ChainEntryView::When { plugin: &entry.plugin, when: ConditionView::from(when) },
        }
    }
}

impl<'a> From<&'a Condition> for ConditionView<'a> {
    fn from(condition: &'a Condition) -> ConditionView<'a> {
        ConditionView {
            methods: methods(&condition.methods),
            hosts: texts(&condition.hosts),
            paths: texts(&condition.paths),
            headers: header_matches(&condition.headers),
            query: query_matches(&condition.query),
            addresses: condition.addresses.iter().map(address::block).collect(),
            not: condition.not.as_deref().map(|not| Box::new(ConditionView::from(not))),
        }
    }
}

pub(super) fn texts<T: Display>(patterns: &[T]) -> Vec<String> {
    patterns.iter().map(T::to_string).collect()
}

pub(super) fn methods(methods: &[Method]) -> Vec<&str> {
    methods.iter().map(Method::as_str).collect()
}

pub(super) fn header_matches(headers: &[HeaderMatch]) -> Matches<'_> {
    headers.iter().map(|header| (header.name.as_str(), values(header.name.as_str(), &header.values))).collect()
}

pub(super) fn query_matches(query: &[QueryMatch]) -> Matches<'_> {
    query.iter().map(|parameter| (parameter.name.as_str(), values(&parameter.name, &parameter.values))).collect()
}

/// A route may be kept for those who send a secret.
fn values<'a>(name: &str, values: &'a [String]) -> Vec<&'a str> {
    let secret = is_secret_name(name);
    values.iter().map(|value| if secret { HIDDEN } else { value }).collect()
}
