//! The load: one client on the load's cores, and what it reports.

mod h2load;
mod open_loop;
mod wrk;

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::rig::{Rig, pinned};
use crate::process;

/// Beyond the time that a client was asked to send for, it is ended.
const GRACE: Duration = Duration::from_secs(30);

/// How requests are sent.
#[derive(Debug, Clone)]
pub enum Load {
    /// Over HTTP/1.1 as fast as answers come; for `/x`, or spread over `/api/service-0/orders` and so on.
    Http1 { connections: usize, tls: bool, services: Option<usize> },
    /// Over HTTP/2 as fast as answers come, streams of [`STREAMS`] a connection.
    Http2 { connections: usize, tls: bool },
    /// Over HTTP/1.1 at so many requests a second, whatever the answers do.
    OpenLoop { connections: usize, rate: u32 },
}

/// Requests under way on one HTTP/2 connection.
pub const STREAMS: usize = 4;

/// What a client reports of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    pub requests: u64,
    /// Requests a second.
    pub rate: f64,
    /// Latencies in ms, as far as the client tells them.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    /// Answers that are neither 2xx nor 3xx, and broken connections.
    pub failed: u64,
}

impl Load {
    pub fn http1(connections: usize) -> Load {
        Load::Http1 { connections, tls: false, services: None }
    }

    /// Sends requests with a key for this long.
    pub fn run(&self, rig: &Rig, cores: &str, port: u16, time: Duration) -> Result<Figures> {
        let report = process::output(&mut bounded(&self.pinned_command(rig, cores, port, time), time + GRACE))?;
        match self {
            Load::Http1 { .. } => wrk::read(&report),
            Load::Http2 { .. } => h2load::read(&report),
            Load::OpenLoop { .. } => open_loop::read(&report),
        }
    }

    fn pinned_command(&self, rig: &Rig, cores: &str, port: u16, time: Duration) -> Command {
        let key = &rig.keys[0];
        let url = |tls: bool| format!("http{}://127.0.0.1:{port}/x", if tls { "s" } else { "" });
        let command = match self {
            Load::Http1 { connections, tls, services } => {
                let spread = services.map(|services| (rig.peers.join("paths.lua"), services));
                wrk::command(&url(*tls), *connections, spread, time, key)
            }
            Load::Http2 { connections, tls } => h2load::timed(&url(*tls), *connections, time, key),
            Load::OpenLoop { connections, rate } => {
                open_loop::command(&rig.bench_program("open-loop"), port, *rate, *connections, time, key)
            }
        };
        pinned(cores, &command)
    }
}

/// So many requests over HTTP/1.1, no more and no less.
pub fn count(rig: &Rig, cores: &str, port: u16, requests: u64, within: Duration) -> Result<Figures> {
    let url = format!("http://127.0.0.1:{port}/x");
    let command = pinned(cores, &h2load::counted(&url, requests, &rig.keys[0]));
    h2load::read(&process::output(&mut bounded(&command, within))?)
}

/// The same command, ended after this time.
fn bounded(command: &Command, time: Duration) -> Command {
    let mut bounded = Command::new("timeout");
    bounded.args(["--kill-after=5", &time.as_secs().to_string()]).arg(command.get_program()).args(command.get_args());
    bounded
}
