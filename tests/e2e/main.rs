//! End to end: real gateways, real upstreams, real clients. One module a subject.

mod configs;
mod modules;

mod chains;
mod config;
mod drain;
mod errors;
mod grpc;
mod harness;
mod headers;
mod hostile;
mod http2;
mod http2_hostile;
mod quickstart;
mod reload;
mod retries;
mod routing;
mod secrets;
mod status;
mod streaming;
mod swaps_under_load;
mod throttling;
mod tls;
mod upstream_http2;
mod upstream_tls;
mod waiting;
