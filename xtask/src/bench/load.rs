//! The load: wrk with keep-alive connections on one core, as fast as it can.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::keys::Key;
use super::server;
use crate::process;

/// What wrk reports of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    pub requests: u64,
    /// Requests a second.
    pub rate: f64,
    /// Latencies in ms.
    pub p50: f64,
    pub p99: f64,
    /// Answers that are neither 2xx nor 3xx, and broken connections.
    pub failed: u64,
}

/// Sends requests with a key for this long.
pub fn run(core: usize, port: u16, connections: usize, time: Duration, key: &Key) -> Result<Figures> {
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--latency", "--timeout", "5s"]);
    wrk.args(["--connections", &connections.to_string(), "--duration", &format!("{}s", time.as_secs())]);
    wrk.args(["--header", &format!("apikey: {}", key.key)]).arg(format!("http://127.0.0.1:{port}/x"));
    let text = process::output(&mut server::pinned(core, &wrk))?;
    Figures::parse(&text).with_context(|| format!("cannot read wrk's report:\n{text}"))
}

impl Figures {
    fn parse(report: &str) -> Option<Self> {
        let after = |label: &str| report.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
        let requests = report.lines().find_map(|line| line.trim().split_once(" requests in"))?.0.parse().ok()?;
        let errors = after("Socket errors:").unwrap_or_default();
        let broken: u64 = errors.split([' ', ',']).filter_map(|word| word.parse::<u64>().ok()).sum();
        let refused: u64 = after("Non-2xx or 3xx responses:").map_or(Some(0), |count| count.parse().ok())?;
        Some(Figures {
            requests,
            rate: after("Requests/sec:")?.parse().ok()?,
            p50: milliseconds(after("50%")?)?,
            p99: milliseconds(after("99%")?)?,
            failed: broken + refused,
        })
    }
}

/// `1.25ms`, `830.00us` or `1.02s` as milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = if let Some(number) = text.strip_suffix("us") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else {
        (text.strip_suffix('s')?, 1e3)
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Running 5s test @ http://127.0.0.1:28200/x
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.13ms    1.02ms  30.51ms   90.02%
    Req/Sec    30.17k     1.11k   32.00k    72.00%
  Latency Distribution
     50%  750.00us
     75%    2.40ms
     90%    2.90ms
     99%    1.02s
  150113 requests in 5.00s, 180.21MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 12
Requests/sec:  30017.42
Transfer/sec:     36.04MB
";

    #[test]
    fn reads_a_report() {
        let figures = Figures::parse(REPORT).unwrap();
        assert_eq!(figures, Figures { requests: 150_113, rate: 30_017.42, p50: 0.75, p99: 1020.0, failed: 16 });
        assert_eq!(Figures::parse("unable to connect"), None);
    }
}
