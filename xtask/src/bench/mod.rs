//! `bench`: the gateway and nginx side by side on this machine.
//!
//! The gateway under test has one worker on core 0; the upstream and the load share core 1. Every round measures
//! every case once, each round starting with another one, so that a slow moment of the machine hits all of them.
//! What counts is CPU time per request, as a ratio within the same round: absolute figures do not carry over.

mod case;
mod cpu;
mod keys;
mod load;
mod server;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use self::case::Case;
use self::cpu::{Busy, CpuTime};
use self::keys::Key;
use self::server::Server;
use crate::prepare::{self, Consent, Program};
use crate::progress::Steps;
use crate::workspace::{Package, Workspace};
use crate::{build_plugins, dist, process};

const GATEWAY_CORE: usize = 0;
const LOAD_CORE: usize = 1;
/// Work of other programs on the two cores above this share of one core spoils a figure, which is then measured
/// again, up to [`TRIES`] times; the quietest counts.
const NOISE: f64 = 0.06;
const TRIES: usize = 4;

const PROGRAMS: [Program; 5] = [
    Program { name: "nginx", package: "nginx", is_there: || process::find("nginx").is_some() },
    Program { name: "wrk", package: "wrk", is_there: || process::find("wrk").is_some() },
    Program {
        name: "nginx's Lua module",
        package: "libnginx-mod-http-lua",
        is_there: || Path::new("/usr/lib/nginx/modules/ngx_http_lua_module.so").is_file(),
    },
    Program {
        name: "lua-resty-core",
        package: "lua-resty-core",
        is_there: || Path::new("/usr/share/lua/5.1/resty/core.lua").is_file(),
    },
    Program { name: "lua-cjson", package: "lua-cjson", is_there: || Path::new("/usr/share/lua/5.1/cjson").is_dir() },
];

/// How long and how hard to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How often each case is measured.
    #[arg(long, default_value_t = Options::default().rounds)]
    rounds: usize,
    /// Length of one measurement, in seconds.
    #[arg(long, default_value_t = Options::default().seconds)]
    seconds: u64,
    /// Keep-alive connections of the load.
    #[arg(long, default_value_t = Options::default().connections)]
    connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { rounds: 5, seconds: 5, connections: 64 }
    }
}

/// Load before each measurement: pools fill, files open.
const WARM_UP: Duration = Duration::from_secs(2);

/// Measures everything, prints the table as Markdown and returns the PROOF lines.
pub fn run(workspace: &Workspace, consent: Consent, options: &Options) -> Result<Vec<String>> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        bail!("the bench needs two cores: one for the gateway, one for the load");
    }
    let mut steps = Steps::start();
    let toolchain = steps.step("prepare", || prepare::prepare(workspace, consent, &PROGRAMS))?;
    let plugins: Vec<&Package> = workspace.plugins().filter(|package| package.folder.starts_with("plugins")).collect();
    let rig = Rig::new(workspace)?;
    steps.step("build the plugins", || build_plugins::build(workspace, &toolchain, &plugins, &rig.plugins))?;
    steps.step("build the gateway", || dist::build_gateway(workspace))?;
    let results = steps.step("measure", || rig.measure_all(options))?;
    steps.summary();
    let Options { rounds, seconds, connections } = options;
    println!("{}", table::markdown(&results));
    println!("{rounds} rounds of {seconds} s, {connections} connections, bodies of 1 KiB, one worker; medians.");
    Ok(table::proofs(&results))
}

/// What one measurement of one case gave.
#[derive(Debug, Clone)]
pub struct Sample {
    pub load: load::Figures,
    /// CPU time of the gateway's processes per request, in µs.
    pub cpu_us: f64,
    /// CPU time that programs outside the bench took on the two cores, as a share of one core.
    noise: f64,
}

/// Samples of each case, in the order of rounds.
pub type Results = Vec<(Case, Vec<Sample>)>;

/// Where everything lies.
pub struct Rig {
    /// Templates of the peers' configurations.
    peers: PathBuf,
    /// What this run writes: configurations, logs.
    folder: PathBuf,
    plugins: PathBuf,
    gateway: PathBuf,
    keys: Vec<Key>,
}

impl Rig {
    fn new(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Rig {
            peers: workspace.root.join("benches/peers"),
            plugins: folder.join("plugins"),
            folder,
            gateway: workspace.gateway("dist"),
            keys: keys::thousand(),
        })
    }

    fn measure_all(&self, options: &Options) -> Result<Results> {
        let port = server::free_port()?;
        let folder = self.fresh_folder("upstream")?;
        let upstream = Server::start("upstream", LOAD_CORE, port, &folder, &self.upstream(port, &folder)?)?;
        let mut results: Results = Case::ALL.into_iter().map(|case| (case, Vec::new())).collect();
        for round in 0..options.rounds {
            for turn in 0..results.len() {
                let index = (round + turn) % results.len();
                let (case, samples) = &mut results[index];
                let sample = self.measure_quietly(*case, &upstream, options)?;
                eprintln!(
                    "  round {} {:<22} {:6.2} µs CPU a request, {:.0} requests/s",
                    round + 1,
                    case.name(),
                    sample.cpu_us,
                    sample.load.rate
                );
                samples.push(sample);
            }
        }
        Ok(results)
    }

    /// Measures until the machine was quiet meanwhile; otherwise takes the quietest of a few tries.
    fn measure_quietly(&self, case: Case, upstream: &Server, options: &Options) -> Result<Sample> {
        let mut best = self.measure(case, upstream, options)?;
        for _ in 1..TRIES {
            if best.noise <= NOISE {
                break;
            }
            let again = self.measure(case, upstream, options)?;
            if again.noise < best.noise {
                best = again;
            }
        }
        Ok(best)
    }

    fn measure(&self, case: Case, upstream: &Server, options: &Options) -> Result<Sample> {
        let port = server::free_port()?;
        let folder = self.fresh_folder(case.name())?;
        let command = self.command(case, port, upstream.port, &folder)?;
        let gateway = Server::start(case.name(), GATEWAY_CORE, port, &folder, &command)?;
        let load = |time| load::run(LOAD_CORE, port, options.connections, time, &self.keys[0]);
        load(WARM_UP)?;

        let (busy, used, ours) = (Busy::now()?, CpuTime::of_tree(gateway.pid())?, CpuTime::of_tree(upstream.pid())?);
        let figures = load(Duration::from_secs(options.seconds))?;
        let used = CpuTime::of_tree(gateway.pid())?.since(&used);
        let ours = CpuTime::of_tree(upstream.pid())?.since(&ours);
        let noise = Busy::now()?.foreign_share(&busy, used + ours);

        let Server { log, .. } = &gateway;
        if figures.failed > 0 {
            bail!(
                "{}: {} requests failed, so its figures mean nothing; see {}",
                case.name(),
                figures.failed,
                log.display()
            );
        }
        Ok(Sample { cpu_us: used.as_secs_f64() * 1e6 / figures.requests as f64, load: figures, noise })
    }

    /// An empty folder for one run of one server.
    fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name.replace([' ', '+'], "-"));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }
}
