//! Memory of a process and its descendants, from `/proc`.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::cpu::tree;
use crate::process::POLL;

/// In MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// Shared pages count for each process that has them.
    pub resident: f64,
    /// Shared pages are divided among those who have them.
    pub proportional: f64,
}

pub fn of_tree(pid: u32) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in tree(pid)? {
        // A process may end while we look.
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        sum.resident += mebibytes(&text, "Rss:").unwrap_or_default();
        sum.proportional += mebibytes(&text, "Pss:").unwrap_or_default();
    }
    Ok(sum)
}

/// As [`of_tree`], once it has not changed for a while.
pub fn settled(pid: u32) -> Result<Memory> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    let mut last = of_tree(pid)?;
    let mut since = Instant::now();
    while since.elapsed() < QUIET && Instant::now() < deadline {
        thread::sleep(POLL);
        let now = of_tree(pid)?;
        if now.resident != last.resident {
            (last, since) = (now, Instant::now());
        }
    }
    of_tree(pid)
}

/// Most resident memory that a process had since [`reset_peak`].
pub fn peak(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the gateway is gone")?;
    mebibytes(&text, "VmHWM:").context("the kernel does not say how much memory a process had")
}

pub fn reset_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak of a process's memory")
}

/// Memory that does not change for so long has settled.
const QUIET: Duration = Duration::from_secs(2);
const SETTLED_WITHIN: Duration = Duration::from_secs(15);

fn mebibytes(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says() {
        assert_eq!(mebibytes("Rss:       2048 kB\nPss:  512 kB\n", "Pss:"), Some(0.5));
        let me = std::process::id();
        let memory = of_tree(me).unwrap();
        assert!(memory.resident >= memory.proportional && memory.proportional > 0.5, "{memory:?}");
        assert!(peak(me).unwrap() > 0.5);
    }
}
