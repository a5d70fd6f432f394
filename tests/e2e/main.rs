//! End to end: real gateways, real upstreams, real clients. One module a subject.

mod configs;
mod modules;

mod activation;
mod chains;
mod config;
mod drain;
mod errors;
mod harness;
mod headers;
mod hostile;
mod overload;
mod quickstart;
mod reload;
mod routing;
mod slow_clients;
mod status;
mod streaming;
mod swaps_under_load;
mod throttling;
mod upgrade;
mod waiting;
