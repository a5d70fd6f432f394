//! The data plane: takes connections, routes requests, runs their chains, forwards them.
//!
//! Reading order: `service` (a request's story), `connection`, `worker`, then
//! what the story's steps are made of.
//!
//! Invariants
//! - One worker is one thread with its own runtime, upstream connections and plugin instances: no
//!   lock that two threads want, and no wake-up of another thread, on the usual path.
//! - A request takes the snapshot once and keeps its route, service, chain and directory, not the
//!   snapshot; what is upgraded keeps not even those.
//! - No file and no database is touched on the request's path.
//! - Whatever goes wrong, `respond` alone turns it into a response.
//! - A body that broke off upstream never ends cleanly towards the client.

mod accept;
mod admission;
mod body;
mod buffered;
mod config;
mod connection;
mod directory;
mod drain;
mod ending;
mod error;
mod fields;
mod finish;
mod forward;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod grpc;
mod head;
mod held;
mod http2;
mod intake;
mod metrics;
mod protocol;
mod record;
mod respond;
mod service;
mod snapshot;
mod stall;
mod timer;
mod tls;
mod tunnel;
mod upgrade;
mod upstream;
mod worker;

pub use config::{InvalidProxy, ProxyConfig};
pub use error::ErrorKind;
pub use metrics::{Histogram, Totals, WorkerFault, WorkerMetrics};
pub use snapshot::{Builder, RouteEntry, Snapshot};
pub use tls::{
    BadCertificate, CertificateTable, Certificates, ClientCertificates, InvalidTls, MinVersion, ServerCertificate,
    TlsConfig, TlsServer,
};
pub use upstream::{HealthChecks, Healths, TargetReport, UpstreamHealth, UpstreamReport};
pub use worker::{Listener, WorkerHandle, spawn};
