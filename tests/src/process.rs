//! A process that the test started, seen from outside.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

use crate::eventually;

/// Ends with its owner.
#[derive(Debug)]
pub struct Process {
    kin: Kin,
    log: PathBuf,
}

/// How it came to be ours.
#[derive(Debug)]
enum Kin {
    Child(Child),
    /// Started by a process of ours that has ended since, or will: the status, once it is known.
    Orphan(Pid, Option<ExitStatus>),
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
        Process { kin: Kin::Child(child), log }
    }

    /// Makes this process the parent of every descendant whose own parent ends, for [`Process::adopt`].
    pub fn adopt_orphans() {
        set_child_subreaper(Some(getpid())).expect("Linux 3.4 or newer");
    }

    /// A process that a process of ours started, which writes to the same log.
    pub fn adopt(id: u32, log: PathBuf) -> Process {
        let id = i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id");
        Process { kin: Kin::Orphan(id, None), log }
    }

    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn exited(&mut self) -> Option<ExitStatus> {
        match &mut self.kin {
            Kin::Child(child) => child.try_wait().expect("the child is ours"),
            Kin::Orphan(_, Some(status)) => Some(*status),
            Kin::Orphan(id, known) => {
                // An error: it is not our child yet, its parent lives.
                let waited = waitpid(Some(*id), WaitOptions::NOHANG).ok().flatten();
                *known = waited.map(|(_, status)| ExitStatus::from_raw(status.as_raw()));
                *known
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is ours and was not waited for");
    }

    /// SIGTERM, unless it has ended, then waits; panics when it does not end in time.
    pub async fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        if self.exited().is_none() {
            self.signal(Signal::TERM);
        }
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
        let bytes = |name: &str| kilobytes(name) << 10;
        Memory { rss: bytes("Rss"), own: bytes("Anonymous") }
    }

    /// What the kernel tells of it under a name of `/proc/PID/status`.
    pub fn told(&self, name: &str) -> Option<String> {
        let status = self.proc_file("status");
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.trim().to_owned())
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
        self.pid().as_raw_nonzero().get().unsigned_abs()
    }

    fn pid(&self) -> Pid {
        match &self.kin {
            Kin::Child(child) => Pid::from_child(child),
            Kin::Orphan(id, _) => *id,
        }
    }

    fn proc_path(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.id().to_string()).join(name)
    }

    fn proc_file(&self, name: &str) -> String {
        let path = self.proc_path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        match &mut self.kin {
            Kin::Child(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Kin::Orphan(id, None) => {
                let _ = kill_process(*id, Signal::KILL);
                let _ = waitpid(Some(*id), WaitOptions::empty());
            }
            Kin::Orphan(..) => {}
        }
    }
}
