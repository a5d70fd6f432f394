//! CPU time from `/proc`: of a process and its descendants, and of the cores that the bench uses.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The unit of `/proc/stat`: Linux shows user space 100 ticks a second everywhere.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of each thread of a process and its descendants, in nanoseconds by the scheduler's own clock.
pub struct CpuTime {
    threads: HashMap<String, u64>,
}

impl CpuTime {
    pub fn of_tree(pid: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        for pid in tree(pid)? {
            // A process or a thread may end while we look.
            for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let spent = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let spent = spent.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
                threads.insert(task.file_name().to_string_lossy().into_owned(), spent);
            }
        }
        Ok(CpuTime { threads })
    }

    /// What was spent between an earlier look and this one.
    pub fn since(&self, earlier: &Self) -> Duration {
        let before = |thread: &String| earlier.threads.get(thread).copied().unwrap_or(0);
        Duration::from_nanos(self.threads.iter().map(|(thread, spent)| spent.saturating_sub(before(thread))).sum())
    }
}

/// A process and its descendants.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc: the bench needs Linux")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = stat_fields(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

/// The fields of `/proc/<pid>/stat` after the command's name: state, parent, …
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// How busy the cores were so far, and how much of that our ended children (the load) account for.
pub struct Busy {
    at: Instant,
    cores: Duration,
    children: Duration,
}

impl Busy {
    pub fn now(cores: &[usize]) -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let cores = cores.iter().filter_map(|core| core_ticks(&text, *core)).sum::<u32>();
        let own = stat_fields(std::process::id()).unwrap_or_default();
        // cutime and cstime: fields 16 and 17 of the whole line, which starts with pid and name.
        let children: u32 = own.iter().skip(13).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
        Ok(Busy { at: Instant::now(), cores: TICK * cores, children: TICK * children })
    }

    /// The share of one core that neither the load nor `known` explains.
    pub fn foreign_share(&self, earlier: &Self, known: Duration) -> f64 {
        let busy = self.cores.saturating_sub(earlier.cores);
        let explained = known + self.children.saturating_sub(earlier.children);
        busy.saturating_sub(explained).as_secs_f64() / self.at.duration_since(earlier.at).as_secs_f64()
    }
}

/// User, nice, system, interrupts: everything but idle, waiting and stolen time.
fn core_ticks(stat: &str, core: usize) -> Option<u32> {
    let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
    let ticks: Vec<u32> = line.split_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
    Some(ticks.get(..3)?.iter().sum::<u32>() + ticks.get(5..7)?.iter().sum::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_stolen_time_is_not_busy() {
        assert_eq!(core_ticks("cpu  9 9 9\ncpu1 1 2 4 1000 1000 8 16 1000 0 0\n", 1), Some(31));
        assert_eq!(core_ticks("cpu0 1 2 4 0 0 0 0 0\n", 1), None);
    }

    #[test]
    fn work_shows_up_as_cpu_time() {
        let me = std::process::id();
        let before = CpuTime::of_tree(me).unwrap();
        let started = Instant::now();
        let mut work = 1_u64;
        while CpuTime::of_tree(me).unwrap().since(&before) < Duration::from_millis(5) {
            (0..100_000).for_each(|step| work = std::hint::black_box(work).wrapping_mul(31) + step);
            assert!(started.elapsed() < Duration::from_secs(20), "work does not count");
        }
    }

    #[test]
    fn a_child_belongs_to_the_tree() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let tree = tree(std::process::id()).unwrap();
        assert!(tree.contains(&child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
