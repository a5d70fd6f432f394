//! What a service manager and the node tell each other: passed sockets, notifications, the watchdog.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Signal;
use tollgate_tests::{Origin, Setup, get, until};

use crate::configs::plain;

const SOON: Duration = Duration::from_secs(30);

pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a listener has an address");
    (listener, address)
}

/// Passes these on, from descriptor 3 on.
pub fn passing(mut command: Command, sockets: Vec<(&str, TcpListener)>) -> Command {
    let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
    command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":")).env_remove("LISTEN_PID");
    let mappings = sockets.into_iter().zip(3..);
    let mappings = mappings.map(|((_, socket), child_fd)| FdMapping { parent_fd: OwnedFd::from(socket), child_fd });
    command.fd_mappings(mappings.collect()).expect("each number once");
    command
}

#[tokio::test]
async fn passed_sockets_are_served_in_place_of_own_ones() {
    let origin = Origin::start();
    let (proxy, proxy_address) = listener();
    let (status, status_address) = listener();
    // By its address alone, as of a unit that names nothing; and by name, for a port that is left open.
    let setup = Setup::new(plain(&origin)).workers(3).listen("proxy", proxy_address);
    // Sent before anybody serves: it waits in the socket's queue.
    let early = tokio::spawn(get("/").try_send(proxy_address));
    let mut gateway =
        setup.start_by(|command| passing(command, vec![("tollgate.socket", proxy), ("status", status)])).await;
    assert_eq!((gateway.proxy, gateway.status), (proxy_address, status_address));
    assert_eq!(early.await.expect("no panic").expect("an answer").status, 200);
    for _ in 0..20 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    // What was passed once is passed on.
    let mut old = gateway.upgrade().await;
    assert!(old.ended(SOON).await.success());
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn a_passed_socket_that_fits_nothing_stops_the_start() {
    let origin = Origin::start();
    let (socket, address) = listener();
    let ran = Setup::new(plain(&origin)).run(|command| passing(command, vec![("stray", socket)]));
    assert_ne!(ran.code, 0);
    for told in [address.to_string().as_str(), "stray", "proxy.listen"] {
        assert!(ran.stderr.contains(told), "{told} in {}", ran.stderr);
    }
}

#[tokio::test]
async fn what_is_no_listener_is_refused() {
    let origin = Origin::start();
    let (_listener, address) = listener();
    let connected = std::net::TcpStream::connect(address).expect("it listens");
    let ran = Setup::new(plain(&origin))
        .run(|command| passing(command, vec![("proxy", TcpListener::from(OwnedFd::from(connected)))]));
    assert!(ran.code != 0 && ran.stderr.contains("not a listening TCP socket"), "{}", ran.stderr);
}

/// Somebody else's descriptors.
#[tokio::test]
async fn sockets_for_another_process_are_left_alone() {
    let origin = Origin::start();
    let (socket, address) = listener();
    let gateway = Setup::new(plain(&origin)).start_by(|command| {
        let mut command = passing(command, vec![("proxy", socket)]);
        command.env("LISTEN_PID", "1");
        command
    });
    assert_ne!(gateway.await.proxy, address);
}

/// A service manager's end of the notifications.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Manager {
    fn start() -> (Manager, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a fresh path");
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        (Manager { socket, told: Vec::new(), _folder: folder }, path)
    }

    /// Waits until it was told this, in a line of its own.
    async fn hears(&mut self, line: &str) {
        until(SOON, &format!("{line} is told"), async || {
            let mut buffer = [0; 4096];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                self.told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            self.has_heard(line)
        })
        .await;
    }

    fn has_heard(&self, line: &str) -> bool {
        self.told.iter().any(|message| message.lines().any(|told| told == line))
    }
}

#[tokio::test]
async fn a_service_manager_is_told_of_the_nodes_life() {
    let origin = Origin::start();
    let (mut manager, path) = Manager::start();
    let setup = Setup::new(plain(&origin));
    let mut gateway = setup
        .start_by(|mut command| {
            command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "600000").env_remove("WATCHDOG_PID");
            command
        })
        .await;
    manager.hears("READY=1").await;
    assert!(manager.told.iter().any(|message| message.contains("STATUS=serving")), "{:?}", manager.told);
    manager.hears("WATCHDOG=1").await;
    assert!(!manager.has_heard("RELOADING=1"));

    manager.told.clear();
    let mut old = gateway.upgrade().await;
    manager.hears("RELOADING=1").await;
    manager.hears(&format!("MAINPID={}", gateway.process().id())).await;
    assert!(old.ended(SOON).await.success());
    manager.told.clear();
    manager.hears("WATCHDOG=1").await;
    assert!(!manager.has_heard("STOPPING=1"), "the service goes on");

    gateway.process().signal(Signal::TERM);
    manager.hears("STOPPING=1").await;
    assert!(gateway.process().ended(SOON).await.success());
}

/// A node that fails to upgrade is the service as before.
#[tokio::test]
async fn a_failed_upgrade_leaves_the_main_process() {
    let origin = Origin::start();
    let (mut manager, path) = Manager::start();
    let mut gateway = Setup::new(plain(&origin))
        .start_by(|mut command| {
            command.env("NOTIFY_SOCKET", &path);
            command
        })
        .await;
    manager.hears("READY=1").await;
    manager.told.clear();
    let ran = gateway.try_upgrade(&["--binary", "/bin/false"]).await;
    assert_ne!(ran.code, 0);
    manager.hears("READY=1").await;
    manager.hears(&format!("MAINPID={}", gateway.process().id())).await;
    let others = manager.told.iter().flat_map(|told| told.lines()).filter(|line| line.starts_with("MAINPID="));
    assert_eq!(others.count(), 1, "{:?}", manager.told);
}
