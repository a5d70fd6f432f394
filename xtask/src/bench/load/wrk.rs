//! wrk with keep-alive connections, as fast as it can.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Figures;
use crate::bench::keys::Key;

/// `spread`: a script that chooses the paths, and among how many services.
pub fn command(url: &str, connections: usize, spread: Option<(PathBuf, usize)>, time: Duration, key: &Key) -> Command {
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--latency", "--timeout", "5s"]);
    wrk.args(["--connections", &connections.to_string(), "--duration", &format!("{}s", time.as_secs())]);
    wrk.args(["--header", &format!("apikey: {}", key.key)]);
    match spread {
        None => wrk.arg(url),
        Some((script, services)) => wrk.arg("--script").arg(script).arg(url).arg("--").arg(services.to_string()),
    };
    wrk
}

pub fn read(report: &str) -> Result<Figures> {
    parse(report).with_context(|| format!("cannot read wrk's report:\n{report}"))
}

fn parse(report: &str) -> Option<Figures> {
    let after = |label: &str| report.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    let requests = report.lines().find_map(|line| line.trim().split_once(" requests in"))?.0.parse().ok()?;
    let errors = after("Socket errors:").unwrap_or_default();
    let broken: u64 = errors.split([' ', ',']).filter_map(|word| word.parse::<u64>().ok()).sum();
    let refused: u64 = after("Non-2xx or 3xx responses:").map_or(Some(0), |count| count.parse().ok())?;
    Some(Figures {
        requests,
        rate: after("Requests/sec:")?.parse().ok()?,
        p50: Some(milliseconds(after("50%")?)?),
        p99: Some(milliseconds(after("99%")?)?),
        p999: None,
        failed: broken + refused,
    })
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
        let (p50, p99) = (Some(0.75), Some(1020.0));
        let expected = Figures { requests: 150_113, rate: 30_017.42, p50, p99, p999: None, failed: 16 };
        assert_eq!(read(REPORT).unwrap(), expected);
        assert!(read("unable to connect").unwrap_err().to_string().contains("unable to connect"));
    }
}
