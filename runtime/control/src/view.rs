//! Entities as they are shown: the shape and the words of the configuration file, without secrets.
//!
//! What an entity does not state is left out where the file would leave it out, and defaults are
//! spelled out, so that an answer can be read back.

mod address;
mod certificate;
mod condition;
mod consumer;
mod plugin;
mod route;
mod service;
mod set;
mod upstream;

pub(crate) use certificate::{CertificateView, SniView};
pub(crate) use condition::{ChainEntryView, ConditionView};
pub(crate) use consumer::ConsumerView;
pub(crate) use plugin::{PluginView, on_error};
pub(crate) use route::RouteView;
pub(crate) use service::{ServiceView, url};
pub(crate) use set::SetView;
pub(crate) use upstream::{TargetView, UpstreamView};
