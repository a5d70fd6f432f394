//! Instructions a request, by function: what a profile of CPU time is too coarse and too noisy to tell.
//!
//! Two runs of the gateway under valgrind differ in nothing but the number of requests, so that their difference is
//! what requests cost; the start, its compilations and the end fall out.

mod profile;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use self::profile::Profile;
use crate::bench::case::Section;
use crate::bench::contender::{Contender, OURS_BARE, OURS_CHAIN, Ports};
use crate::bench::load;
use crate::bench::rig::{Cores, Rig, write};
use crate::bench::server::Server;
use crate::process;

const FEW: u64 = 2_000;
const MANY: u64 = 12_000;
/// Of one run. Under valgrind everything takes fifty times as long.
const WITHIN: Duration = Duration::from_secs(300);
const SHOWN: usize = 25;

pub fn measure(rig: &Rig) -> Result<Section> {
    let cores = Cores::for_workers(1);
    let upstream = rig.start_upstream(&cores)?;
    let mut text = String::new();
    for contender in [OURS_BARE, OURS_CHAIN] {
        let subject = Subject::new(rig, &contender, &cores, &upstream)?;
        // The first run compiles the plugins for the processor that valgrind pretends to be, and keeps the code.
        subject.run(0)?;
        let few = subject.run(FEW)?;
        let many = subject.run(MANY)?;
        write_table(&mut text, contender.name, &many.minus(&few, MANY - FEW));
    }
    let _ = write!(
        text,
        "\nInstructions in user space, as callgrind counts them: the difference of a run with {MANY} and one with \
         {FEW} requests, one worker. What the kernel does is not in it; a copy of some KiB counts one for each byte.\n"
    );
    Ok(Section { text, goals: Vec::new() })
}

fn write_table(text: &mut String, name: &str, profile: &Profile) {
    let _ = writeln!(text, "**{name}: {:.0} instructions a request**\n", profile.total);
    text.push_str("| instructions | % | function |\n|---|---|---|\n");
    for (function, cost) in profile.costliest(SHOWN) {
        let _ = writeln!(text, "| {cost:.0} | {:.1} | `{function}` |", 100.0 * cost / profile.total);
    }
    text.push('\n');
}

/// A gateway whose folder, and with it its code cache, stays from run to run.
struct Subject<'a> {
    rig: &'a Rig,
    cores: &'a Cores,
    name: &'static str,
    folder: PathBuf,
    ports: Ports,
    command: Command,
}

impl<'a> Subject<'a> {
    fn new(rig: &'a Rig, contender: &Contender, cores: &'a Cores, upstream: &Server) -> Result<Self> {
        let ports = Ports::choose(upstream.port)?;
        let folder = rig.fresh_folder(&format!("callgrind {}", contender.name))?;
        let command = contender.command(rig, ports, &folder)?;
        few_instances(&folder.join("tollgate.toml"))?;
        Ok(Subject { rig, cores, name: contender.name, folder, ports, command })
    }

    /// The profile of one life with so many requests.
    fn run(&self, requests: u64) -> Result<Profile> {
        eprintln!("  {} under valgrind, {requests} requests", self.name);
        let out = self.folder.join(format!("callgrind.{requests}"));
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", out.display()));
        valgrind.arg(self.command.get_program()).args(self.command.get_args());
        let mut server = Server::start(self.name, &self.cores.gateway, self.ports.clients, &self.folder, &valgrind)?;
        server.wait_until_ready(self.name, self.ports.status, &self.rig.keys[0])?;
        if requests > 0 {
            let figures = load::count(self.rig, &self.cores.load, self.ports.clients, requests, WITHIN)?;
            let log = server.log.display();
            ensure!(
                figures.requests == requests,
                "{}: {} of {requests} served; see {log}",
                self.name,
                figures.requests
            );
        }
        server.stop()?;
        let mut annotate = Command::new("callgrind_annotate");
        annotate.args(["--threshold=100", "--auto=no", "--show-percs=no"]).arg(&out);
        let report = process::output(&mut annotate)?;
        Profile::read(&report).with_context(|| format!("cannot read what callgrind_annotate says of {}", out.display()))
    }
}

/// Every instance reserves address space, of which valgrind has little.
fn few_instances(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    write(file, &text.replace("[plugins]\n", "[plugins]\ninstances = 8\n"))
}
