//! Listening sockets that were open before this process: a service manager's (socket activation), or
//! its predecessor's. Both come by the same convention, sd_listen_fds(3).

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, bail};
use listenfd::ListenFd;
use socket2::SockRef;

use crate::config::environment;

/// Sockets that nobody has taken yet.
#[derive(Default)]
pub struct Inherited {
    sockets: Vec<InheritedSocket>,
}

struct InheritedSocket {
    listener: TcpListener,
    address: SocketAddr,
    /// As its giver calls it; empty when it has no name.
    name: String,
}

impl Inherited {
    /// Takes over `LISTEN_FDS` descriptors from 3 on, if they are meant for this process
    /// (`LISTEN_PID`), with their names (`LISTEN_FDNAMES`). To be called before there are threads: the
    /// variables are removed, so that no child takes them for its own.
    ///
    /// # Errors
    /// One of them is not a listening TCP socket.
    pub fn from_environment() -> anyhow::Result<Inherited> {
        let names = environment("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let listener = passed
                .take_tcp_listener(index)
                .ok()
                .flatten()
                .filter(|listener| SockRef::from(listener).is_listener().unwrap_or(false))
                .with_context(|| {
                    let number = FIRST + index;
                    format!(
                        "the passed descriptor {number} (`{name}`) is not a listening TCP socket; \
                         a socket unit for Tollgate has ListenStream= with a port, and Accept=no"
                    )
                })?;
            let address = listener.local_addr()?;
            sockets.push(InheritedSocket { listener, address, name });
        }
        Ok(Inherited { sockets })
    }

    /// All sockets that listen on `wanted`. For port 0 those that have its IP address and the name
    /// `name`, all of one port.
    pub fn take(&mut self, name: &str, wanted: SocketAddr) -> Vec<TcpListener> {
        let address = match wanted.port() {
            0 => {
                let fits = |socket: &&InheritedSocket| socket.address.ip() == wanted.ip() && socket.name == name;
                self.sockets.iter().find(fits).map(|socket| socket.address)
            }
            _ => Some(wanted),
        };
        let taken = self.sockets.extract_if(.., |socket| Some(socket.address) == address && fits_name(socket, name));
        taken.map(|socket| socket.listener).collect()
    }

    /// Sockets that fit nothing: an address that the configuration no longer has.
    pub fn left_over(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|socket| socket.address)
    }

    /// Connections to a socket that nobody accepts from would wait for ever.
    ///
    /// # Errors
    /// Sockets are left.
    pub fn refuse_left_over(&self) -> anyhow::Result<()> {
        if self.sockets.is_empty() {
            return Ok(());
        }
        let list: Vec<String> =
            self.sockets.iter().map(|InheritedSocket { address, name, .. }| format!("{address} (`{name}`)")).collect();
        bail!(
            "passed sockets fit no listener: {}; listen on these addresses (proxy.listen, proxy.tls.listen, \
             admin.listen, status.listen), or take them out of the socket unit",
            list.join(", ")
        )
    }
}

/// A name of ours binds a socket to its listener: only a socket without one, or with one that says
/// nothing to us (a unit's), goes by its address alone.
fn fits_name(socket: &InheritedSocket, name: &str) -> bool {
    socket.name == name || ![PROXY, PROXY_TLS, ADMIN, STATUS].contains(&socket.name.as_str())
}

/// Names of descriptors, as in `FileDescriptorName=` of a socket unit.
pub const PROXY: &str = "proxy";
pub const PROXY_TLS: &str = "proxy-tls";
pub const ADMIN: &str = "admin";
pub const STATUS: &str = "status";

/// Of the convention: after the standard streams.
pub const FIRST: usize = 3;
