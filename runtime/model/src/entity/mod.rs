//! The entities of a configuration, one file each.

mod service;
mod upstream;
mod route;
mod consumer;
mod certificate;
mod plugin;

pub use certificate::{Certificate, Sni};
pub use consumer::{Consumer, KeyCredential, SecretText};
pub use plugin::{ChainEntry, Grants, Isolation, OnError, Plugin, PluginLimits};
pub use route::{HeaderMatch, HostPattern, PathPattern, QueryMatch, Route};
pub use service::{Destination, Scheme, Service, Timeouts};
pub use upstream::{Balance, Target, Upstream};
