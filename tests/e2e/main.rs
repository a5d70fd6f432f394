//! End to end: real gateways, real upstreams, real clients. One module a subject.

mod configs;
mod modules;

mod activation;
mod chains;
mod config;
mod drain;
mod endings;
mod errors;
mod grpc;
mod harness;
mod headers;
mod held_bodies;
mod hostile;
mod http2;
mod http2_conformance;
mod http2_hostile;
mod overload;
mod peers;
mod quickstart;
mod reload;
mod retries;
mod routing;
mod secrets;
mod slow_clients;
mod status;
mod streaming;
mod swaps_under_load;
mod throttling;
mod tls;
mod tls_connections;
mod upgrade;
mod upstream_faults;
mod upstream_http2;
mod upstream_tls;
mod waiting;
