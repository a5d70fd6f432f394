//! What the end-to-end tests are made of: real gateways in processes of their own, upstreams under
//! the test's control, clients that miss nothing.
//!
//! Rules
//! - Everything listens on 127.0.0.1, port 0, and lives in a folder of its own that goes with it.
//! - Nothing sleeps to wait: a test waits for what it wants to see ([`eventually`]).
//! - What is missing (a program, a build, a privilege) fails the test and says what to do.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a failing test shows the gateway's log")]
#![allow(clippy::disallowed_methods, reason = "the size of a run is set in the environment")]

mod admin;
mod certificates;
mod cli;
mod client;
mod cluster;
mod faulty_redis;
mod frames;
mod gateway;
mod grpc;
mod http2;
mod load;
pub mod modules;
mod nginx;
mod origin;
mod postgres;
mod process;
mod program;
mod proof;
mod raw;
mod redis;
mod setup;
mod upstream;
mod waiting;
mod websocket;

pub use admin::{Admin, revision};
pub use certificates::{Authority, Identity};
pub use cli::tollgate;
pub use client::{Call, Connection, Reply, delete, get, post};
pub use cluster::{Cluster, ClusterSetup};
pub use faulty_redis::{FaultyRedis, RedisFaults};
pub use frames::{Frame, Frames};
pub use gateway::Gateway;
pub use grpc::{GrpcCall, GrpcClient, GrpcServer};
pub use http2::{Http2, Unanswered};
pub use load::{Load, Tally};
pub use nginx::Nginx;
pub use origin::{Origin, Seen, Wire};
pub use postgres::Postgres;
pub use process::{Memory, Process};
pub use program::{Ran, curl, run};
pub use proof::{announce, proving, scaled};
pub use raw::Raw;
pub use redis::{Redis, RedisCluster, RedisSentinels, RedisSetup};
pub use setup::{Setup, validate, validate_with};
pub use upstream::{Peer, Upstream};
pub use waiting::{eventually, until};
pub use websocket::WebSocket;
