//! What each case measures, one file a case.

pub mod add_route;
pub mod bare;
pub mod callgrind;
pub mod chain;
pub mod connections;
pub mod fresh;
pub mod http2;
pub mod latency;
pub mod memory;
pub mod micro;
pub mod pingora;
pub mod routes;
pub mod tls;
pub mod two_workers;
