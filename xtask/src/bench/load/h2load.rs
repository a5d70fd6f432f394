//! h2load: HTTP/2, and counted requests of HTTP/1.1.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Figures, STREAMS};
use crate::bench::keys::Key;

/// Connections of a counted run.
const CONNECTIONS: &str = "8";

/// Sends over HTTP/2 for this long.
pub fn timed(url: &str, connections: usize, time: Duration, key: &Key) -> Command {
    let mut h2load = h2load(key);
    h2load.args(["--clients", &connections.to_string(), "--max-concurrent-streams", &STREAMS.to_string()]);
    h2load.args(["--duration", &time.as_secs().to_string()]).arg(url);
    h2load
}

/// Sends so many requests over HTTP/1.1.
pub fn counted(url: &str, requests: u64, key: &Key) -> Command {
    let mut h2load = h2load(key);
    h2load.args(["--h1", "--clients", CONNECTIONS, "--requests", &requests.to_string()]).arg(url);
    h2load
}

fn h2load(key: &Key) -> Command {
    let mut h2load = Command::new("h2load");
    h2load.args(["--threads", "1", "--header", &format!("apikey: {}", key.key)]);
    h2load
}

pub fn read(report: &str) -> Result<Figures> {
    parse(report).with_context(|| format!("cannot read h2load's report:\n{report}"))
}

fn parse(report: &str) -> Option<Figures> {
    let after = |label: &str| report.lines().find_map(|line| line.strip_prefix(label));
    // `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout`
    let counts = after("requests:")?;
    let count = |what: &str| {
        let count = counts.split(',').find_map(|part| part.trim().strip_suffix(what))?;
        count.trim().parse::<u64>().ok()
    };
    // `finished in 5.00s, 20481.40 req/s, 21.02MB/s`
    let rate = after("finished in")?.split(',').find_map(|part| part.trim().strip_suffix(" req/s"))?;
    let statuses = after("status codes:")?;
    let refused: u64 = [" 4xx", " 5xx"]
        .iter()
        .filter_map(|class| statuses.split(',').find_map(|part| part.trim().strip_suffix(class))?.parse::<u64>().ok())
        .sum();
    Some(Figures {
        requests: count(" succeeded")?,
        rate: rate.parse().ok()?,
        p50: None,
        p99: None,
        p999: None,
        failed: count(" failed")?.max(refused) + count(" timeout")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "starting benchmark...
Application protocol: h2c

finished in 5.00s, 20481.40 req/s, 21.02MB/s
requests: 102407 total, 102471 started, 102407 done, 102400 succeeded, 7 failed, 0 errored, 2 timeout
status codes: 102400 2xx, 0 3xx, 4 4xx, 3 5xx
traffic: 105.11MB (110215345) total, 900.11KB (921713) headers (space savings 93.92%), 100.01MB (104864768) data
                     min         max         mean         sd        +/- sd
time for request:      402us     10.66ms      3.11ms       432us    90.99%
";

    #[test]
    fn reads_a_report() {
        let figures = read(REPORT).unwrap();
        assert_eq!((figures.requests, figures.rate, figures.failed), (102_400, 20_481.4, 9));
        assert_eq!(figures.p99, None);
        assert!(read("Could not resolve").is_err());
    }
}
