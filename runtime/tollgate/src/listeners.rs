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
    pub admin: TcpListener,
    pub status: TcpListener,
    proxy_addresses: Vec<SocketAddr>,
}

impl Listeners {
    pub fn open(config: &NodeConfig) -> anyhow::Result<Listeners> {
        let mut proxy: Vec<Vec<TcpListener>> = (0..config.workers).map(|_| Vec::new()).collect();
        let mut proxy_addresses = Vec::new();
        for &wanted in &config.proxy_addresses {
            // SO_REUSEPORT would let a second gateway start on the same port and take half of the
            // traffic: a plain bind fails if anybody is there.
            let mut address = wanted;
            drop(bind(wanted, false).with_context(|| busy("proxy.listen", wanted))?);
            for worker in &mut proxy {
                let listener = bind(address, true).with_context(|| busy("proxy.listen", wanted))?;
                // Port 0: the first listener's port is everyone's.
                address = listener.local_addr()?;
                worker.push(listener);
            }
            proxy_addresses.push(address);
        }
        let admin = bind(config.admin_address, false).with_context(|| busy("admin.listen", config.admin_address))?;
        let status =
            bind(config.status_address, false).with_context(|| busy("status.listen", config.status_address))?;
        Ok(Listeners { proxy, admin, status, proxy_addresses })
    }

    /// Writes where the node listens, whole or not at all.
    pub fn announce(&self, file: &Path) -> anyhow::Result<()> {
        let addresses = serde_json::json!({
            "proxy": self.proxy_addresses,
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
