//! What a connection takes that waits for its next request.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use crate::bench::case::Section;
use crate::bench::client::Connection;
use crate::bench::contender::{NGINX_BARE, OURS_BARE, OURS_CHAIN};
use crate::bench::goal::Goal;
use crate::bench::memory;
use crate::bench::rig::{Cores, Rig};

const CONNECTIONS: usize = 10_000;
/// In KiB.
const GOAL: f64 = 16.0;

pub fn measure(rig: &Rig) -> Result<Section> {
    let cores = Cores::for_workers(1);
    let upstream = rig.start_upstream(&cores)?;
    let mut text = "| | MiB before | MiB with 10,000 | KiB each |\n|---|---|---|---|\n".to_owned();
    let mut goals = Vec::new();
    for contender in [NGINX_BARE, OURS_BARE, OURS_CHAIN] {
        let server = rig.start(&contender, &cores, &upstream)?;
        let ask = || {
            let mut connection = Connection::open(server.port)?;
            let status = connection.get("/x", &rig.keys[0]);
            let status = status.with_context(|| format!("{}; see {}", contender.name, server.log.display()))?;
            ensure!(status == 200, "{} answered {status}; see {}", contender.name, server.log.display());
            Ok(connection)
        };
        ask()?;
        let before = memory::settled(server.pid())?.resident;
        let connections = (0..CONNECTIONS).map(|_| ask()).collect::<Result<Vec<_>>>()?;
        let after = memory::settled(server.pid())?.resident;
        let each = (after - before) * 1024.0 / connections.len() as f64;
        let _ = writeln!(text, "| {} | {before:.1} | {after:.1} | {each:.1} |", contender.name);
        if contender == OURS_BARE || contender == OURS_CHAIN {
            let what = format!("memory of an idle connection, {}", contender.name);
            goals.push(Goal::new(what, format!("{each:.1} KiB"), each, GOAL, " KiB"));
        }
    }
    text += "\nResident memory of all processes of a server; each connection had one request. What the kernel holds for \
             a socket is not in it.\n";
    Ok(Section { text, goals })
}
