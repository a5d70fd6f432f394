//! `bench`: the gateway beside its peers on this machine; benches/README.md tells the method.
//!
//! The gateway under test has cores of its own, the upstream and the load others. What counts is CPU time per request,
//! as a ratio within the same round: absolute figures do not carry over.

mod case;
mod goal;
mod cases;
mod compare;
mod contender;
mod load;
mod rig;
mod server;
mod client;
mod cpu;
mod descriptors;
mod memory;
mod keys;
mod entities;
mod certificate;
mod table;
mod machine;
mod results;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use self::case::Case;
use self::goal::Goal;
use self::rig::Rig;
use crate::prepare::{self, Consent, Program};
use crate::progress::Steps;
use crate::workspace::{Package, Workspace};
use crate::{build_plugins, process};

/// What every case needs.
const PROGRAMS: [Program; 8] = [
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
    Program { name: "HAProxy", package: "haproxy", is_there: || process::find("haproxy").is_some() },
    prepare::H2LOAD,
    prepare::OPENSSL,
];

/// zlib-ng, which pingora compiles, is built with it.
const CMAKE: Program = Program { name: "cmake", package: "cmake", is_there: || process::find("cmake").is_some() };
const VALGRIND: Program =
    Program { name: "valgrind", package: "valgrind", is_there: || process::find("valgrind").is_some() };

/// What to measure, how long and how hard.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What to measure; all cases but those marked "by name only" if none is named.
    #[arg(value_enum)]
    cases: Vec<Case>,
    /// How often each contender is measured.
    #[arg(long, default_value_t = Options::default().rounds)]
    rounds: usize,
    /// Length of one measurement, in seconds.
    #[arg(long, default_value_t = Options::default().seconds)]
    seconds: u64,
    /// Keep-alive connections of the load.
    #[arg(long, default_value_t = Options::default().connections)]
    connections: usize,
    /// The file that results are written to, instead of benches/RESULTS.md.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options { cases: Vec::new(), rounds: 5, seconds: 5, connections: 64, out: None }
    }
}

impl Options {
    fn cases(&self) -> Vec<Case> {
        if self.cases.is_empty() { Case::usual() } else { self.cases.clone() }
    }

    /// As many streams under way over HTTP/2 as connections of HTTP/1.1.
    fn http2_connections(&self) -> usize {
        self.connections.div_ceil(load::STREAMS)
    }
}

/// Measures the cases, writes the results file after each of them, prints what they showed as Markdown, and returns the
/// PROOF lines.
pub fn run(workspace: Workspace, consent: Consent, options: &Options) -> Result<Vec<String>> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        bail!("the bench needs two cores: one for the gateway, one for the load");
    }
    descriptors::allow()?;
    let cases = options.cases();
    let mut steps = Steps::start();
    let rig = build(workspace, consent, &cases, &mut steps)?;
    let file = options.out.clone().unwrap_or_else(|| rig.workspace.root.join("benches/RESULTS.md"));
    let (mut proofs, mut failures) = (Vec::new(), Vec::new());
    for case in cases {
        match steps.step(&format!("measure {}", case.name()), || case.measure(&rig, options)) {
            Ok(section) => {
                let text = section.with_head(&machine::described(&rig));
                println!("\n## {}\n\n{text}", case.title());
                results::write(&file, &[(case, text)])?;
                proofs.extend(section.goals.iter().map(Goal::proof));
            }
            // The others took as long to set up, and do not depend on it.
            Err(error) => failures.push(format!("{}: {error:#}", case.name())),
        }
    }
    steps.summary();
    eprintln!("results are in {}", file.display());
    ensure!(failures.is_empty(), "some cases could not be measured:\n  {}", failures.join("\n  "));
    Ok(proofs)
}

/// Gets what the cases need, and builds what they measure.
fn build(workspace: Workspace, consent: Consent, cases: &[Case], steps: &mut Steps) -> Result<Rig> {
    let mut programs = PROGRAMS.to_vec();
    programs.extend(cases.contains(&Case::Pingora).then_some(CMAKE));
    programs.extend(cases.contains(&Case::Callgrind).then_some(VALGRIND));
    let toolchain = steps.step("prepare", || prepare::prepare(&workspace, consent, &programs))?;
    let rig = Rig::new(workspace)?;
    let workspace = &rig.workspace;
    let measured = |package: &&Package| package.folder.starts_with("plugins") || package.folder.starts_with("benches");
    let plugins: Vec<&Package> = workspace.plugins().filter(measured).collect();
    steps.step("build the plugins", || build_plugins::build(workspace, &toolchain, &plugins, &rig.plugins))?;
    steps.step("build the gateway and what measures it", || rig::build_programs(workspace))?;
    steps.step("start the gateway once, which compiles its plugins", || rig.compile_plugins())?;
    if cases.contains(&Case::Pingora) {
        steps.step("build pingora", || rig::build_pingora(workspace))?;
    }
    Ok(rig)
}
