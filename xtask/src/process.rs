//! Running other programs: shown before they start, explained when they fail.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How often a waiting loop looks again.
pub const POLL: Duration = Duration::from_millis(50);

/// Shows and runs a command whose output goes to the terminal; an error if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    eprintln!("  $ {line}");
    let status = command.status().with_context(|| cannot_start(&line))?;
    ensure!(status.success(), "`{line}` failed ({status}); its output above says why");
    Ok(())
}

/// Shows and runs a command, shows its output as it comes and hands each line to `read`.
pub fn follow(command: &mut Command, mut read: impl FnMut(&str)) -> Result<ExitStatus> {
    let line = shown(command);
    eprintln!("  $ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(&line))?;
    let output = child.stdout.take().context("the output is piped")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("a program's output is not text")?;
        println!("{line}");
        read(&line);
    }
    Ok(child.wait()?)
}

/// Runs a command quietly and returns what it printed; an error with its stderr if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(&line))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed something other than UTF-8"))
}

/// The command as one would type it, with the environment it sets (but for PATH, which would fill the screen).
pub fn shown(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs().filter(|(name, _)| *name != "PATH") {
        if let Some(value) = value {
            let _ = write!(line, "{}={} ", name.to_string_lossy(), value.to_string_lossy());
        }
    }
    let program = Path::new(command.get_program());
    line.push_str(&program.file_name().unwrap_or(program.as_os_str()).to_string_lossy());
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// Where a program lies, if it is installed. Looks into `/usr/sbin` too, which not every user has on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Asks a child to end (SIGTERM), waits up to `patience`, then kills it. Returns whether it ended by itself.
pub fn stop(child: &mut Child, patience: Duration) -> Result<bool> {
    if child.try_wait()?.is_some() {
        return Ok(true);
    }
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).context("a child without id")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("cannot signal a child")?;
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(POLL);
    }
    child.kill().context("cannot kill a child that would not end")?;
    child.wait()?;
    Ok(false)
}

fn cannot_start(line: &str) -> String {
    format!("cannot start `{line}`: is it installed and on PATH?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c") && text.contains("no such thing") && text.contains('3'), "{text}");
    }

    #[test]
    fn a_missing_program_is_said_to_be_missing() {
        let error = run(&mut Command::new("no-such-program-of-tollgate")).unwrap_err();
        assert!(format!("{error:#}").contains("is it installed"));
        assert_eq!(find("no-such-program-of-tollgate"), None);
        assert!(find("sh").is_some());
    }

    #[test]
    fn the_outcome_of_a_command_is_passed_on() {
        let mut lines = Vec::new();
        let status =
            follow(Command::new("sh").args(["-c", "echo a; echo b; exit 4"]), |line| lines.push(line.to_owned()));
        assert_eq!(status.unwrap().code(), Some(4));
        assert_eq!(lines, ["a", "b"]);
    }

    #[test]
    fn a_child_that_ignores_the_signal_is_killed() {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; echo ready; while :; do read line; done"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        assert!(!stop(&mut child, Duration::from_millis(100)).unwrap());
        assert!(child.try_wait().unwrap().is_some());
    }
}
