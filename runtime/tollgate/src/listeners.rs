//! Opens what the node listens on. Listeners are opened here and handed to who serves them, so that
//! descriptors that are already open (of a predecessor, of a service manager) can take their place.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::NodeConfig;

/// Everything listened on.
pub struct Listeners {
    /// For each worker, one listener for each address: the kernel spreads connections among them.
    pub proxy: Vec<Vec<TcpListener>>,
    /// As `proxy`, for TLS.
    pub tls: Vec<Vec<TcpListener>>,
    pub admin: TcpListener,
    pub status: TcpListener,
    proxy_addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
}

impl Listeners {
    pub fn open(config: &NodeConfig) -> anyhow::Result<Listeners> {
        let (proxy, proxy_addresses) = shared("proxy.listen", &config.proxy_addresses, config.workers)?;
        let (tls, tls_addresses) = shared("proxy.tls.listen", &config.tls_addresses, config.workers)?;
        let admin = bind(config.admin_address, false).with_context(|| busy("admin.listen", config.admin_address))?;
        let status =
            bind(config.status_address, false).with_context(|| busy("status.listen", config.status_address))?;
        Ok(Listeners { proxy, tls, admin, status, proxy_addresses, tls_addresses })
    }

    /// Writes where the node listens, whole or not at all.
    pub fn announce(&self, file: &Path) -> anyhow::Result<()> {
        let addresses = serde_json::json!({
            "proxy": self.proxy_addresses,
            "tls": self.tls_addresses,
            "admin": self.admin.local_addr()?,
            "status": self.status.local_addr()?,
        });
        let partial = file.with_extension("partial");
        std::fs::write(&partial, addresses.to_string())
            .and_then(|()| std::fs::rename(&partial, file))
            .with_context(|| format!("the addresses file {} can't be written", file.display()))
    }

    pub fn proxy_addresses(&self) -> &[SocketAddr] {
        &self.proxy_addresses
    }

    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
    }
}

/// For each worker a listener on each address, and the addresses as they turned out.
fn shared(
    key: &str,
    addresses: &[SocketAddr],
    workers: usize,
) -> anyhow::Result<(Vec<Vec<TcpListener>>, Vec<SocketAddr>)> {
    let mut all: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    let mut bound = Vec::new();
    for &wanted in addresses {
        // SO_REUSEPORT would let a second gateway start on the same port and take half of the
        // traffic: a plain bind fails if anybody is there.
        let mut address = wanted;
        drop(bind(wanted, false).with_context(|| busy(key, wanted))?);
        for worker in &mut all {
            let listener = bind(address, true).with_context(|| busy(key, wanted))?;
            // Port 0: the first listener's port is everyone's.
            address = listener.local_addr()?;
            worker.push(listener);
        }
        bound.push(address);
    }
    Ok((all, bound))
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn busy(key: &str, address: SocketAddr) -> String {
    format!("can't listen on {address}; another program may have the port, change {key} or end it")
}

const BACKLOG: i32 = 4096;
