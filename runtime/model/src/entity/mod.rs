//! The entities of a configuration, one file each.

mod service;
mod upstream_tls;
mod retries;
mod upstream;
mod health;
mod route;
mod consumer;
mod certificate;
mod plugin;

pub use certificate::{Certificate, CertificateSource, Sni};
pub use consumer::{Consumer, KeyCredential, SecretText};
pub use health::{Ejection, HealthCheck};
pub use plugin::{ChainEntry, Grants, Isolation, OnError, Plugin, PluginLimits};
pub use retries::{Retries, RetryOn};
pub use route::{HeaderMatch, HostPattern, PathPattern, QueryMatch, Route};
pub use service::{Destination, Protocol, Scheme, Service, Timeouts};
pub use upstream::{Balance, Target, Upstream};
pub use upstream_tls::UpstreamTls;
