//! Targets, the choice among them, and connections to them.

mod balance;
mod connect;
mod endpoint;
mod pool;

pub(crate) use balance::Balancer;
pub(crate) use connect::SendFailure;
pub(crate) use endpoint::{Endpoint, Endpoints, InFlight};
pub(crate) use pool::{ConnectionPool, PooledConnection};
