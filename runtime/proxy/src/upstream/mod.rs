//! Targets, the choice among them, and connections to them.

mod balance;
mod budget;
mod check;
mod connect;
mod dial;
mod endpoint;
mod health;
pub(crate) mod http1;
mod http2;
mod lanes;
mod names;
mod pool;
mod tls;
mod unverified;

pub(crate) use balance::{Balancer, Chosen};
pub(crate) use budget::RetryBudgets;
pub use check::HealthChecks;
pub(crate) use connect::{Answer, Sent};
pub(crate) use endpoint::{Address, Endpoint, Endpoints, InFlight};
pub use health::{Healths, TargetReport, UpstreamHealth, UpstreamReport};
pub(crate) use http1::{Announced, Broken, Expected, Http1, Switched, write_field};
pub(crate) use names::Names;
pub(crate) use pool::{ConnectionPool, PooledConnection, Sender};
pub(crate) use tls::{TlsClient, TlsClients, TlsSide, TlsWanted};
