//! The gateway that `run` starts, and those that take its place by `tollgate upgrade`.
//!
//! They are one process group. Who takes over is a child of the one before, and ours once that one has ended: this
//! program adopts orphans (prctl(2), `PR_SET_CHILD_SUBREAPER`). So all of them are waited for and ended alike.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process_group, set_child_subreaper, waitpgid};
use serde::Deserialize;

use crate::process::{self, POLL};

/// A gateway that is not ready by then has a problem.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The gateway drains when asked to end, by default up to 30 s; after this long it is killed.
const DRAIN: Duration = Duration::from_secs(35);
/// For connecting to the status listener, and for each piece of its answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The processes of the gateway: none outlives this value.
pub struct Gateway {
    /// The first one; its id is the group's.
    leader: Child,
    /// How the last one ended, once none is left.
    ended: Option<ExitStatus>,
}

/// Something that can't be served, in the words of `/status`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct DegradedPlace {
    pub place: String,
    pub reason: String,
}

#[derive(Deserialize)]
struct Status {
    degraded_places: Vec<DegradedPlace>,
}

impl Gateway {
    pub fn start(binary: &Path, config: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("run").arg("-c").arg(config);
        eprintln!("  $ {}", process::shown(&command));
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        set_child_subreaper(Some(getpid())).context("cannot adopt processes")?;
        // A process group of its own: the terminal's Ctrl-C reaches us alone, and we ask it to drain, once.
        let leader = command.process_group(0).spawn();
        let leader = leader.with_context(|| format!("cannot start `{}`", process::shown(&command)))?;
        Ok(Gateway { leader, ended: None })
    }

    pub fn wait_until_ready(&mut self, status: SocketAddr, stop: &AtomicBool) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(status) {
            self.collect()?;
            if let Some(ended) = self.ended {
                bail!("the gateway ended ({ended}) before it was ready; its messages above say why");
            }
            if stop.load(Ordering::Relaxed) {
                bail!("stopped before the gateway was ready");
            }
            if Instant::now() > deadline {
                bail!(
                    "the gateway was not ready after {READY_WITHIN:?}; http://{status}/status says what it waits for"
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits until the user or the gateway has had enough.
    pub fn attend(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            if self.collect()? {
                eprintln!("\nanother process has taken over, by `tollgate upgrade`; Ctrl-C now ends that one");
            }
            if let Some(ended) = self.ended {
                bail!("the gateway ended by itself ({ended}); its messages above say why");
            }
            thread::sleep(POLL);
        }
        eprintln!("\ndraining the gateway and stopping");
        if !self.stop(DRAIN)? {
            bail!("the gateway did not drain within {DRAIN:?} and was killed");
        }
        Ok(())
    }

    /// Asks all processes to end, waits up to `patience`, then kills them. Returns whether they ended by themselves.
    fn stop(&mut self, patience: Duration) -> Result<bool> {
        self.collect()?;
        if self.ended.is_some() {
            return Ok(true);
        }
        kill_process_group(self.group(), Signal::TERM).context("cannot signal the gateway")?;
        let deadline = Instant::now() + patience;
        while self.ended.is_none() && Instant::now() < deadline {
            thread::sleep(POLL);
            self.collect()?;
        }
        if self.ended.is_some() {
            return Ok(true);
        }
        kill_process_group(self.group(), Signal::KILL).context("cannot kill a gateway that would not end")?;
        while self.ended.is_none() {
            thread::sleep(POLL);
            self.collect()?;
        }
        Ok(false)
    }

    /// Collects processes that have ended. Returns whether there were any while another one goes on.
    fn collect(&mut self) -> Result<bool> {
        let mut last = None;
        while self.ended.is_none() {
            match waitpgid(self.group(), WaitOptions::NOHANG) {
                Ok(Some((_, status))) => last = Some(ExitStatus::from_raw(status.as_raw())),
                Ok(None) => return Ok(last.is_some()),
                Err(Errno::CHILD) => self.ended = Some(last.unwrap_or_default()),
                Err(error) => return Err(error).context("cannot wait for the gateway"),
            }
        }
        Ok(false)
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.leader)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // After an error on the way; the usual end has waited for it already.
        let _ = self.stop(Duration::from_secs(2));
    }
}

/// Whether `GET /status/ready` answers 200.
fn is_ready(status: SocketAddr) -> bool {
    get(status, "/status/ready").is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// What `/status` says can't be served.
pub fn degraded_places(status: SocketAddr) -> Result<Vec<DegradedPlace>> {
    let what = || format!("http://{status}/status does not tell how the gateway is");
    let answer = get(status, "/status").with_context(what)?;
    let (_, body) = answer.split_once("\r\n\r\n").with_context(what)?;
    let status: Status = serde_json::from_str(body).with_context(what)?;
    Ok(status.degraded_places)
}

/// The whole answer, head and body.
fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWERS_WITHIN)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn one_that_takes_over_is_attended_and_ended() {
        // The first one ends and leaves a child, as a gateway that was replaced.
        let mut gateway = shell("sleep 600 & exit 0");
        until(|| gateway.collect().unwrap());
        assert_eq!(gateway.ended, None);
        assert!(gateway.stop(Duration::from_secs(30)).unwrap(), "it ended when asked");
        assert!(gateway.ended.is_some());
    }

    #[test]
    fn one_that_leaves_nobody_behind_has_ended() {
        let mut gateway = shell("exit 3");
        until(|| {
            assert!(!gateway.collect().unwrap(), "nobody took over");
            gateway.ended.is_some()
        });
        assert_eq!(gateway.ended.and_then(|ended| ended.code()), Some(3));
        assert!(gateway.attend(&AtomicBool::new(false)).unwrap_err().to_string().contains("exit status: 3"));
    }

    #[test]
    fn ready_means_an_answer_of_200() {
        let (address, server) = answers(&["503 Service Unavailable\r\n\r\n", "200 OK\r\n\r\n"]);
        assert!(!is_ready(address));
        assert!(is_ready(address));
        server.join().unwrap();
        assert!(!is_ready(address), "nobody listens");
    }

    #[test]
    fn degraded_places_are_read_from_the_status() {
        let body = r#"{"phase":"serving","degraded_places":[{"place":"route orders","reason":"no module"}]}"#;
        let (address, server) = answers(&[&format!("200 OK\r\n\r\n{body}"), "200 OK\r\n\r\n[]"]);
        let expected = DegradedPlace { place: "route orders".into(), reason: "no module".into() };
        assert_eq!(degraded_places(address).unwrap(), [expected]);
        assert!(degraded_places(address).unwrap_err().to_string().contains("/status does not tell"));
        server.join().unwrap();
    }

    fn shell(script: &str) -> Gateway {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Gateway::spawn(command).unwrap()
    }

    fn until(mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < deadline, "it never came");
            thread::yield_now();
        }
    }

    /// Gives these answers, one a connection, from the status code on.
    fn answers(answers: &[&str]) -> (SocketAddr, thread::JoinHandle<()>) {
        let answers: Vec<String> = answers.iter().map(|answer| format!("HTTP/1.1 {answer}")).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).unwrap() > 0);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        (address, server)
    }
}
