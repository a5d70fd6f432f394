//! When, where and with which versions something was measured.

use std::fs;
use std::process::Command;

use super::rig::Rig;
use crate::process;

/// One line for the top of a section.
pub fn described(rig: &Rig) -> String {
    let date = said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = said(Command::new("uname").args(["-sr"]));
    format!(
        "*{date}; {} × {cores}, {kernel}; tollgate {}; {}.*\n\n",
        model.trim_start_matches([' ', '\t', ':']),
        commit(rig),
        versions()
    )
}

/// The commit that was measured; says so if files differ from it.
fn commit(rig: &Rig) -> String {
    let git = |arguments: &[&str]| said(Command::new("git").args(arguments).current_dir(&rig.workspace.root));
    let commit = git(&["rev-parse", "--short=10", "HEAD"]);
    // The results themselves are written by the bench.
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!benches/RESULTS.md"]);
    if changed.is_empty() { commit } else { format!("{commit} with changes") }
}

fn versions() -> String {
    let first = |program: &str, argument: &str| {
        let path = process::find(program)?;
        let output = Command::new(path).arg(argument).output().ok()?;
        // nginx and wrk say it on standard error.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        Some(format!("{program} {}", number(text.lines().next()?)?))
    };
    let programs = [
        first("nginx", "-v"),
        first("haproxy", "-v"),
        first("wrk", "-v"),
        first("h2load", "--version"),
        first("valgrind", "--version"),
    ];
    programs.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The first number with a point in it.
fn number(line: &str) -> Option<&str> {
    let words = line.split(|c: char| !c.is_ascii_digit() && c != '.');
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).find(|word| word.contains('.'))
}

fn said(command: &mut Command) -> String {
    process::output(command).map(|text| text.trim().to_owned()).unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let said = |line| number(line).unwrap();
        assert_eq!(said("nginx version: nginx/1.22.1"), "1.22.1");
        assert_eq!(said("HAProxy version 2.6.12-1+deb12u3 2025/10/03"), "2.6.12");
        assert_eq!(said("h2load nghttp2/1.52.0"), "1.52.0");
        assert_eq!(said("valgrind-3.19.0"), "3.19.0");
    }
}
