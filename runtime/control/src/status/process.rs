//! What the operating system tells about this process, from `/proc`.

use std::fs;

/// Each part is absent where it can't be read: on other systems than Linux, or without a `/proc`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProcessSample {
    /// In bytes.
    pub(super) resident_memory: Option<u64>,
    pub(super) open_fds: Option<u64>,
    /// The soft limit.
    pub(super) max_fds: Option<u64>,
    /// User and system time, in seconds.
    pub(super) cpu_seconds: Option<f64>,
    /// Since 1970, in seconds.
    pub(super) start_time: Option<f64>,
}

/// The unit of times in `/proc/*/stat`: USER_HZ, which is 100 on every architecture that we build
/// for, whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

impl ProcessSample {
    /// Reads a few small files that the kernel makes up in memory.
    pub(super) fn read() -> ProcessSample {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let stat = stat.as_deref().and_then(ProcessTimes::parse);
        ProcessSample {
            resident_memory: read_field("/proc/self/status", "VmRSS:").map(|kibibytes| kibibytes * 1024),
            // One of them is the folder that is being read.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count().saturating_sub(1) as u64),
            max_fds: read_field("/proc/self/limits", "Max open files"),
            cpu_seconds: stat.map(|times| times.cpu / TICKS_PER_SECOND),
            start_time: stat
                .and_then(|times| Some(read_field("/proc/stat", "btime")? as f64 + times.start / TICKS_PER_SECOND)),
        }
    }
}

/// In ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ProcessTimes {
    cpu: f64,
    /// After the machine's start.
    start: f64,
}

impl ProcessTimes {
    /// Reads `/proc/self/stat`, proc(5): the fields after the command's name, which is in parentheses
    /// and may hold anything.
    fn parse(stat: &str) -> Option<ProcessTimes> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // The first one here is field 3 of the manual page.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(ProcessTimes { cpu: field(14)? + field(15)?, start: field(22)? })
    }
}

/// The first number of the line that starts with `name`.
fn read_field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_odd_characters_does_not_shift_the_fields() {
        let stat = "7 (a ) 9 (b) S 1 7 7 0 -1 4194304 90 0 0 0 250 50 0 0 20 0 3 0 12345 1000 90";
        assert_eq!(ProcessTimes::parse(stat), Some(ProcessTimes { cpu: 300.0, start: 12_345.0 }));
        assert_eq!(ProcessTimes::parse("7 (cut off"), None);
    }
}
