//! Latencies of the chain at a rate that every contender can serve, sent whatever the answers do and taken from the
//! moment a request was due.

use std::fmt::Write as _;

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{HAPROXY_CHAIN, LUA_CHAIN, NGINX_CHAIN, OURS_CHAIN};
use crate::bench::goal::Goal;
use crate::bench::load::Load;
use crate::bench::rig::Rig;
use crate::bench::table;

/// Requests a second.
const RATE: u32 = 5000;

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let load = |_: &_| Load::OpenLoop { connections: options.connections, rate: RATE };
    let contenders = [NGINX_CHAIN, LUA_CHAIN, HAPROXY_CHAIN, OURS_CHAIN];
    let results = Comparison { contenders: &contenders, load: &load }.run(rig, options)?;
    let times = |contender| {
        results.within_rounds(contender, &LUA_CHAIN, |contender, base| {
            contender.load.p99.unwrap_or(f64::NAN) / base.load.p99.unwrap_or(f64::NAN)
        })
    };
    let mut text = "| | p50 ms | p99 ms | p99.9 ms | p99 × nginx + Lua chain | CPU µs a request |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for (contender, samples) in &results.0 {
        let cpu = samples.iter().map(|sample| sample.cpu_us).sum::<f64>() / samples.len() as f64;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {cpu:.1} |",
            contender.name,
            table::latency(samples, |sample| sample.load.p50),
            table::latency(samples, |sample| sample.load.p99),
            table::latency(samples, |sample| sample.load.p999),
            times(contender),
        );
    }
    let ratio = times(&OURS_CHAIN);
    let what = format!("p99 at {RATE} requests/s, tollgate chain over nginx + Lua chain");
    let load = format!("{RATE} requests/s on {} connections, open loop", options.connections);
    text += &table::method(&results, options, &load);
    Ok(Section { text, goals: vec![Goal::new(what, ratio, ratio.median, 1.2, "")] })
}
