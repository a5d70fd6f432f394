//! How soon one more route among 10,000 serves when it is written into the file, what that costs in memory, and whether
//! any of the requests under way notices.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::client::Connection;
use crate::bench::compare::Spread;
use crate::bench::contender::Contender;
use crate::bench::goal::Goal;
use crate::bench::load::Load;
use crate::bench::rig::{Cores, Rig, write};
use crate::bench::server::Server;
use crate::bench::{entities, memory};

const ROUTES: usize = 10_000;
const OURS: Contender = Contender::routes("tollgate, 10,000 routes", ROUTES);
/// From one change to the next: memory that the last one freed has gone.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the new route is asked for.
const ASK: Duration = Duration::from_millis(1);
const LIVE_WITHIN: Duration = Duration::from_secs(30);

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let cores = Cores::for_workers(1);
    let upstream = rig.start_upstream(&cores)?;
    let server = rig.start(&OURS, &cores, &upstream)?;
    let file = rig.folder_of(OURS.name).join("gateway.toml");
    let load = Load::Http1 { connections: options.connections, tls: false, services: Some(ROUTES) };
    let time = Duration::from_secs(options.seconds * options.rounds as u64).max(5 * PAUSE);
    let (figures, changes) = std::thread::scope(|scope| {
        let load = scope.spawn(|| load.run(rig, &cores.load, server.port, time));
        let mut changes = Vec::new();
        loop {
            std::thread::sleep(PAUSE);
            if load.is_finished() {
                break;
            }
            changes.push(add_route(rig, &server, &file, ROUTES + changes.len())?);
        }
        let figures = load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        Ok::<_, anyhow::Error>((figures, changes))
    })?;
    let live = Spread::of(changes.iter().map(|change| change.live_ms));
    let peak = Spread::of(changes.iter().map(|change| change.peak_ratio));
    let text = format!(
        "| changes | live after ms | memory before MiB | memory peak | requests/s meanwhile | failed requests |\n\
         |---|---|---|---|---|---|\n| {} | {live:.0} | {:.0} | {peak} | {:.0} | {} |\n\nThe load takes all of the \
         gateway's core: {} keep-alive connections, spread over all routes. A route counts as live when a request for \
         it is served; the time starts when the new file is in its place.\n",
        changes.len(),
        changes.first().map_or(0.0, |change| change.memory),
        figures.rate,
        figures.failed,
        options.connections,
    );
    let failed = figures.failed as f64;
    let goals = vec![
        Goal::new("one more route among 10,000, live", format!("{live:.0} ms"), live.median, 150.0, " ms"),
        Goal::new("the same, failed requests", figures.failed, failed, 0.0, ""),
        Goal::new("the same, memory peak", format!("{peak} ×"), peak.median, 1.2, " ×"),
    ];
    Ok(Section { text, goals })
}

struct Change {
    /// From the file's change to the first answer by the new route, in ms.
    live_ms: f64,
    /// In MiB, before the change.
    memory: f64,
    /// Most memory during the change over that.
    peak_ratio: f64,
}

/// Adds a route as careful writers do: aside, then renamed into its place.
fn add_route(rig: &Rig, server: &Server, file: &Path, number: usize) -> Result<Change> {
    let text = fs::read_to_string(file)? + &entities::numbered(number);
    let fresh = file.with_extension("new");
    write(&fresh, &text)?;
    let memory = memory::of_tree(server.pid())?.resident;
    memory::reset_peak(server.pid())?;
    let mut client = Connection::open(server.port)?;
    fs::rename(&fresh, file).with_context(|| format!("cannot replace {}", file.display()))?;
    let changed = Instant::now();
    while client.get(&format!("/api/service-{number}/orders"), &rig.keys[0])? != 200 {
        if changed.elapsed() > LIVE_WITHIN {
            bail!("the new route does not serve after {LIVE_WITHIN:?}; see {}", server.log.display());
        }
        std::thread::sleep(ASK);
    }
    let live_ms = changed.elapsed().as_secs_f64() * 1e3;
    // What is freed after the swap may still grow the peak.
    std::thread::sleep(PAUSE);
    Ok(Change { live_ms, memory, peak_ratio: memory::peak(server.pid())? / memory })
}
