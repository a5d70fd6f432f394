//! Our own open-loop client, `benches/src/bin/open_loop.rs`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::Figures;
use crate::bench::keys::Key;

#[derive(Deserialize)]
struct Report {
    requests: u64,
    failed: u64,
    rate: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
}

pub fn command(program: &Path, port: u16, rate: u32, connections: usize, time: Duration, key: &Key) -> Command {
    let mut command = Command::new(program);
    command.args([port.to_string(), rate.to_string(), connections.to_string(), time.as_secs().to_string()]);
    command.arg(&key.key);
    command
}

pub fn read(report: &str) -> Result<Figures> {
    let Report { requests, failed, rate, p50, p99, p999 } = serde_json::from_str(report)
        .with_context(|| format!("cannot read the open-loop client's report:\n{report}"))?;
    Ok(Figures { requests, rate, p50, p99, p999, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_report() {
        let text = r#"{"failed":1,"p50":0.21,"p99":0.6,"p999":null,"rate":4999.5,"requests":9999}"#;
        let figures = read(text).unwrap();
        assert_eq!((figures.requests, figures.failed, figures.p99, figures.p999), (9999, 1, Some(0.6), None));
        assert!(read("{}").is_err());
    }
}
