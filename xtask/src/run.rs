//! `run`: from a fresh clone to a gateway in front of a real service, with three requests to try.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::prepare::{self, Consent};
use crate::process::{self, POLL};
use crate::progress::Steps;
use crate::quickstart::Quickstart;
use crate::workspace::{Package, Workspace};
use crate::{build_plugins, demo_upstream};

/// Where the quickstart's gateway.toml expects the service.
pub const UPSTREAM_PORT: u16 = 9000;

/// A gateway that is not ready by then has a problem.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The gateway drains when asked to end, by default up to 30 s; after this long it is killed.
const DRAIN: Duration = Duration::from_secs(35);

pub fn run(workspace: &Workspace, consent: Consent) -> Result<()> {
    let quickstart = Quickstart::lay_out(workspace)?;
    let config = quickstart.node_file();
    let listens = Listens::read(&config)?;
    // Before minutes of building, not after.
    listens.check_free(&quickstart)?;
    let upstream = demo_upstream::listen(UPSTREAM_PORT)?;

    let mut steps = Steps::start();
    let toolchain = steps.step("prepare", || prepare::prepare(workspace, consent, &[prepare::CURL]))?;
    let plugins: Vec<&Package> = workspace.plugins().filter(|package| !package.is_guest()).collect();
    let folder = build_plugins::plugin_folder(workspace);
    steps.step("build the plugins", || build_plugins::build(workspace, &toolchain, &plugins, &folder))?;
    steps.step("build the gateway", || process::run(workspace.compile("build").args(["--bin", "tollgate"])))?;

    let stop = stop_signal()?;
    thread::spawn(move || demo_upstream::serve(&upstream));
    let mut gateway = steps.step("start the gateway", || {
        let mut gateway = Gateway::start(&workspace.gateway("debug"), &config)?;
        gateway.wait_until_ready(listens.status, &stop)?;
        Ok(gateway)
    })?;
    steps.summary();
    println!("{}", invitation(&listens, &quickstart));
    gateway.attend(&stop)
}

/// The addresses that the quickstart's node file names.
struct Listens {
    proxy: SocketAddr,
    admin: SocketAddr,
    status: SocketAddr,
}

#[derive(Deserialize)]
struct NodeFile {
    proxy: Listen,
    admin: Listen,
    status: Listen,
}

#[derive(Deserialize)]
struct Listen {
    listen: SocketAddr,
}

impl Listens {
    fn read(config: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
        let file: NodeFile = toml::from_str(&text)
            .with_context(|| format!("{} lacks an address in [proxy], [admin] or [status]", config.display()))?;
        Ok(Listens { proxy: file.proxy.listen, admin: file.admin.listen, status: file.status.listen })
    }

    fn check_free(&self, quickstart: &Quickstart) -> Result<()> {
        for (section, address) in [("proxy", self.proxy), ("admin", self.admin), ("status", self.status)] {
            TcpListener::bind(address).with_context(|| {
                format!(
                    "cannot listen on {address}: end what holds it (`ss -ltnp 'sport = :{}'` shows it), or change \
                     `listen` under [{section}] in {}",
                    address.port(),
                    quickstart.shown("tollgate.toml")
                )
            })?;
        }
        Ok(())
    }
}

/// Raised by Ctrl-C, SIGTERM and a closed terminal; until now these ended the program at once.
fn stop_signal() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&flag)).context("cannot listen for signals")?;
    }
    Ok(flag)
}

/// The gateway as our child: it never outlives this value.
struct Gateway {
    child: Child,
}

impl Gateway {
    fn start(binary: &Path, config: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("run").arg("-c").arg(config);
        // A process group of its own: the terminal's Ctrl-C reaches us alone, and we ask it to drain, once.
        command.process_group(0);
        eprintln!("  $ {}", process::shown(&command));
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Gateway { child })
    }

    fn wait_until_ready(&mut self, status: SocketAddr, stop: &AtomicBool) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(status) {
            if let Some(ended) = self.child.try_wait()? {
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
    fn attend(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            if let Some(ended) = self.child.try_wait()? {
                bail!("the gateway ended by itself ({ended}); its messages above say why");
            }
            thread::sleep(POLL);
        }
        eprintln!("\ndraining the gateway and stopping");
        if !process::stop(&mut self.child, DRAIN)? {
            bail!("the gateway did not drain within {DRAIN:?} and was killed");
        }
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // After an error on the way; the usual end has waited for it already.
        let _ = process::stop(&mut self.child, Duration::from_secs(2));
    }
}

/// Whether `GET /status/ready` answers 200.
fn is_ready(status: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let timeout = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&status, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        let request = format!("GET /status/ready HTTP/1.1\r\nhost: {status}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

fn invitation(listens: &Listens, quickstart: &Quickstart) -> String {
    let Listens { proxy, admin, status } = listens;
    let (notice, file) = (quickstart.notice(), quickstart.shown("gateway.toml"));
    format!(
        "
{notice}The gateway serves {file} on http://{proxy} (admin http://{admin}, status http://{status}).
Try, in another terminal:

  # no key: 401
  curl -i http://{proxy}/orders/1

  # with the key: 200, and the service sees who calls
  curl -i -H 'apikey: demo-key' http://{proxy}/orders/1

  # more than ten a minute: 429 with Retry-After
  for i in $(seq 12); do curl -s -o /dev/null -w '%{{http_code}}\\n' -H 'apikey: demo-key' http://{proxy}/orders/$i; done

Edit {file} and save: the change is live at once. Ctrl-C ends everything."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named_with_the_way_out() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let busy = holder.local_addr().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        let listens = Listens { proxy: free, admin: busy, status: free };
        let error = listens.check_free(&quickstart()).unwrap_err().to_string();
        for part in [&*busy.to_string(), "[admin] in target/quickstart/tollgate.toml", "ss -ltnp"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_quickstart_names_all_addresses() {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart/tollgate.toml");
        let listens = Listens::read(&config).unwrap();
        let text = invitation(&listens, &quickstart());
        assert!(text.contains(&format!("curl -i http://{}/orders/1", listens.proxy)), "{text}");
        assert!(text.contains("Edit target/quickstart/gateway.toml"), "{text}");
    }

    fn quickstart() -> Quickstart {
        Quickstart::unedited(Path::new("/w"))
    }

    #[test]
    fn ready_means_an_answer_of_200() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for status in ["503 Service Unavailable", "200 OK"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).unwrap() > 0);
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        });
        assert!(!is_ready(address));
        assert!(is_ready(address));
        server.join().unwrap();
        assert!(!is_ready(address), "nobody listens");
    }
}
