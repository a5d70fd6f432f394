use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use tollgate_model::Name;
use tollgate_model::entity::{Grants, Isolation, OnError, Plugin, PluginLimits};
use tollgate_model::units::TimeSpan;

use tollgate_model::secrets;

#[derive(Serialize)]
pub(crate) struct PluginView<'a> {
    name: &'a Name,
    module: &'a Name,
    config: Map<String, Value>,
    on_error: &'static str,
    isolation: &'static str,
    grants: GrantsView<'a>,
    limits: LimitsView,
    tags: &'a [String],
}

#[derive(Serialize)]
struct GrantsView<'a> {
    credentials: bool,
    files: Vec<Cow<'a, str>>,
    standard_output: bool,
}

/// What is not stated is the node's own.
#[derive(Serialize)]
struct LimitsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<TimeSpan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall: Option<TimeSpan>,
}

impl<'a> From<&'a Plugin> for PluginView<'a> {
    fn from(plugin: &'a Plugin) -> PluginView<'a> {
        PluginView {
            name: &plugin.name,
            module: &plugin.module,
            config: secrets::hide_settings(&plugin.config),
            on_error: on_error(plugin.on_error),
            isolation: match plugin.isolation {
                Isolation::Shared => "shared",
                Isolation::Request => "request",
            },
            grants: GrantsView::from(&plugin.grants),
            limits: LimitsView::from(plugin.limits),
            tags: &plugin.tags,
        }
    }
}

pub(crate) fn on_error(policy: OnError) -> &'static str {
    match policy {
        OnError::Closed => "closed",
        OnError::Open => "open",
    }
}

impl<'a> From<&'a Grants> for GrantsView<'a> {
    fn from(grants: &'a Grants) -> GrantsView<'a> {
        GrantsView {
            credentials: grants.credentials,
            files: grants.files.iter().map(|file| file.to_string_lossy()).collect(),
            standard_output: grants.standard_output,
        }
    }
}

impl From<PluginLimits> for LimitsView {
    fn from(limits: PluginLimits) -> LimitsView {
        LimitsView { cpu: limits.cpu.map(TimeSpan), wall: limits.wall.map(TimeSpan) }
    }
}
