//! `test`: everything the tests need, then all of them.

use anyhow::{Result, ensure};

use crate::build_plugins;
use crate::prepare::{self, Consent};
use crate::process;
use crate::progress::Steps;
use crate::workspace::{Package, Workspace};

pub fn run(workspace: &Workspace, consent: Consent, filter: Option<&str>) -> Result<()> {
    let mut steps = Steps::start();
    let outcome = build(workspace, consent, &mut steps)
        .and_then(|()| steps.step("run the tests", || run_tests(workspace, filter)));
    steps.summary();
    outcome
}

fn run_tests(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let mut command = workspace.compile("test");
    // All of them, whatever fails: one word about everything.
    command.arg("--no-fail-fast");
    let Some(filter) = filter else { return process::run(&mut command) };
    let mut count = 0;
    let status = process::follow(command.arg(filter), |line| count += announced(line).unwrap_or(0))?;
    ensure!(status.success(), "`{}` failed ({status}); its output above says why", process::shown(&command));
    ensure!(count > 0, "no test ran: there is none with `{filter}` in its name");
    Ok(())
}

/// How many tests a line of the test harness says that it runs.
fn announced(line: &str) -> Option<usize> {
    let (count, tests) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(tests, "test" | "tests").then(|| count.parse().ok())?
}

/// Leaves the plugins in target/plugins, the guests in target/guests and the gateway in target/debug, where the
/// tests look for them.
pub fn build(workspace: &Workspace, consent: Consent, steps: &mut Steps) -> Result<()> {
    let programs = [
        prepare::CURL,
        prepare::NGINX,
        prepare::OPENSSL,
        prepare::H2LOAD,
        prepare::NGHTTP,
        prepare::SLOWHTTPTEST,
        prepare::SSLSCAN,
        prepare::PYTHON_GRPC,
        prepare::REDIS,
        prepare::POSTGRES,
    ];
    let toolchain = steps.step("prepare", || prepare::prepare(workspace, consent, &programs))?;
    let plugins: Vec<&Package> = workspace.plugins().collect();
    let folder = build_plugins::plugin_folder(workspace);
    steps.step("build the plugins", || build_plugins::build(workspace, &toolchain, &plugins, &folder))?;
    let arguments = ["--bin", "tollgate", "--tests"];
    steps.step("build the gateway and the tests", || process::run(workspace.compile("build").args(arguments)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_says_how_many_tests_it_runs() {
        assert_eq!(announced("running 0 tests"), Some(0));
        assert_eq!(announced("running 1 test"), Some(1));
        assert_eq!(announced("running 12 tests"), Some(12));
        assert_eq!(announced("test running ... ok"), None);
    }
}
