//! A process that the test started, seen from outside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// Ends with its owner.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident.
    pub rss: u64,
    /// Of that, anonymous: what nobody else shares, the program's text apart.
    pub own: u64,
}

impl Process {
    /// Both outputs go to the file `log`.
    pub fn start(mut command: Command, log: PathBuf) -> Process {
        let out = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let err = out.try_clone().expect("a file can be opened twice");
        let started = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = started.unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
        Process { child, log }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is ours and was not waited for");
    }

    /// SIGTERM, then waits; panics when it does not end in time.
    pub async fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(timeout).await
    }

    pub async fn ended(&mut self, timeout: Duration) -> ExitStatus {
        eventually(timeout, async || self.exited().ok_or("the process is still there")).await
    }

    pub fn memory(&self) -> Memory {
        let rollup = self.proc_file("smaps_rollup");
        let kilobytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
            number
                .and_then(|number| number.trim().parse::<u64>().ok())
                .expect("smaps_rollup has Rss and Anonymous in kB")
        };
        Memory { rss: kilobytes("Rss") << 10, own: kilobytes("Anonymous") << 10 }
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc_path("fd")).expect("the process lives and is ours").count()
    }

    /// Processor time that it used so far, all threads together.
    pub fn cpu_time(&self) -> Duration {
        let stat = self.proc_file("stat");
        // The second field is a name in brackets, which may hold anything.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 =
            [11, 12].into_iter().map(|at: usize| fields[at].parse::<u64>().expect("utime and stime")).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn proc_path(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }

    fn proc_file(&self, name: &str) -> String {
        let path = self.proc_path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
