//! Memory of a gateway that has everything ready and nothing to do: the chain, 1,000 keys.

use std::fmt::Write as _;

use anyhow::Result;

use crate::bench::case::Section;
use crate::bench::contender::{HAPROXY_CHAIN, LUA_CHAIN, NGINX_CHAIN, OURS_CHAIN};
use crate::bench::goal::Goal;
use crate::bench::memory;
use crate::bench::rig::{Cores, Rig};

/// In MiB.
const GOAL: f64 = 40.0;

pub fn measure(rig: &Rig) -> Result<Section> {
    let cores = Cores::for_workers(1);
    let upstream = rig.start_upstream(&cores)?;
    let mut text = "| | resident MiB | proportional MiB |\n|---|---|---|\n".to_owned();
    let mut goals = Vec::new();
    for contender in [NGINX_CHAIN, LUA_CHAIN, HAPROXY_CHAIN, OURS_CHAIN] {
        let server = rig.start(&contender, &cores, &upstream)?;
        let memory = memory::settled(server.pid())?;
        let _ = writeln!(text, "| {} | {:.1} | {:.1} |", contender.name, memory.resident, memory.proportional);
        if contender == OURS_CHAIN {
            let figure = format!("{:.1} MiB", memory.resident);
            goals.push(Goal::new("memory at rest, chain and 1,000 keys", figure, memory.resident, GOAL, " MiB"));
        }
    }
    text += "\nOf all processes of a server, once it was ready and its memory no longer changed.\n";
    Ok(Section { text, goals })
}
