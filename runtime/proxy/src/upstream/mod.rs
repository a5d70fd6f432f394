//! Targets, the choice among them, and connections to them.

mod balance;
mod budget;
mod connect;
mod dial;
mod endpoint;
mod http2;
mod pool;
mod tls;
mod unverified;

pub(crate) use balance::Balancer;
pub(crate) use budget::RetryBudgets;
pub(crate) use endpoint::{Address, Endpoint, Endpoints, InFlight};
pub(crate) use pool::{ConnectionPool, PooledConnection};
pub(crate) use tls::{Round, TlsClient, TlsClients};
