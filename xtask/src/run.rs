//! `run`: from a fresh clone to a gateway in front of a real service, with three requests to try.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::gateway::{self, DegradedPlace, Gateway};
use crate::prepare::{self, Consent};
use crate::process;
use crate::progress::Steps;
use crate::quickstart::Quickstart;
use crate::workspace::{Package, Workspace};
use crate::{build_plugins, demo_upstream};

pub fn run(workspace: &Workspace, consent: Consent, upstream_port: u16) -> Result<()> {
    let mut quickstart = Quickstart::lay_out_node(workspace)?;
    let config = quickstart.node_file();
    let listens = Listens::read(&config)?;
    // Before minutes of building, not after.
    let held = listens.hold(&quickstart)?;
    let upstream = demo_upstream::listen(upstream_port).with_context(|| another_port(upstream_port))?;
    drop(held);
    quickstart.lay_out_entities(upstream_port)?;

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
    let degraded = gateway::degraded_places(listens.status)?;
    match degraded.is_empty() {
        true => println!("{}", invitation(&listens, &quickstart)),
        false => println!("{}", shortfall(&degraded, &listens, &quickstart)),
    }
    gateway.attend(&stop)
}

/// The way out when the demo service can't have its port.
fn another_port(taken: u16) -> String {
    let free = (taken..=u16::MAX).skip(1).find(|port| demo_upstream::listen(*port).is_ok());
    let free = free.map_or_else(|| "<port>".to_owned(), |port| port.to_string());
    format!(
        "the demo service needs a port that neither the gateway nor anybody else has; give it another by \
         `cargo xtask run --upstream-port {free}`"
    )
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

    /// Takes all of them, which shows that they are free.
    fn hold(&self, quickstart: &Quickstart) -> Result<Vec<TcpListener>> {
        let hold = |(section, address): (&str, SocketAddr)| {
            TcpListener::bind(address).with_context(|| {
                format!(
                    "cannot listen on {address}: end what holds it (`ss -ltnp 'sport = :{}'` shows it), or change \
                     `listen` under [{section}] in {}",
                    address.port(),
                    quickstart.shown("tollgate.toml")
                )
            })
        };
        [("proxy", self.proxy), ("admin", self.admin), ("status", self.status)].into_iter().map(hold).collect()
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

/// In place of the invitation: what would fail has no use as something to try.
fn shortfall(degraded: &[DegradedPlace], listens: &Listens, quickstart: &Quickstart) -> String {
    let Listens { proxy, admin, status } = listens;
    let (notice, file) = (quickstart.notice(), quickstart.shown("gateway.toml"));
    let line = |DegradedPlace { place, reason }: &DegradedPlace| format!("  {place}: {reason}\n");
    let places: String = degraded.iter().map(line).collect();
    format!(
        "
DEGRADED: the gateway runs, but not all of its configuration can be served. Its messages above say more.

{places}
{notice}{file} and the modules are followed: what is mended is live at once, and what is left stands under
`degraded_places` of http://{status}/status. (Proxy http://{proxy}, admin http://{admin}.) Ctrl-C ends everything."
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
        let error = listens.hold(&quickstart()).unwrap_err().to_string();
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

    #[test]
    fn a_degraded_gateway_is_no_invitation() {
        let address = "127.0.0.1:8007".parse().unwrap();
        let listens = Listens { proxy: address, admin: address, status: address };
        let place = DegradedPlace { place: "route orders".into(), reason: "module `x` is not there".into() };
        let text = shortfall(&[place], &listens, &quickstart());
        assert!(text.contains("DEGRADED") && text.contains("  route orders: module `x` is not there\n"), "{text}");
        assert!(!text.contains("curl"), "{text}");
    }

    #[test]
    fn a_taken_port_of_the_service_is_told_with_a_free_one() {
        let holder = demo_upstream::listen(0).unwrap();
        let text = another_port(holder.local_addr().unwrap().port());
        assert!(text.contains("`cargo xtask run --upstream-port "), "{text}");
    }

    fn quickstart() -> Quickstart {
        Quickstart::unedited(Path::new("/w"))
    }
}
