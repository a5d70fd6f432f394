//! Opens what the node listens on. Listeners are opened here and handed to who serves them, so that
//! sockets that are already open (of a predecessor, of a service manager) can take their place.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::NodeConfig;
use crate::inherited::{ADMIN, Inherited, PROXY, PROXY_TLS, STATUS};

/// Everything listened on.
pub struct Listeners {
    /// For each worker its listeners: the kernel spreads connections among them.
    pub proxy: Vec<Vec<TcpListener>>,
    /// As `proxy`, for TLS.
    pub tls: Vec<Vec<TcpListener>>,
    pub admin: TcpListener,
    pub status: TcpListener,
    proxy_addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
}

/// Where the node listens, ports chosen by the system included.
#[derive(Serialize)]
pub struct Addresses {
    pub proxy: Vec<SocketAddr>,
    pub tls: Vec<SocketAddr>,
    admin: SocketAddr,
    status: SocketAddr,
}

/// The node's listening sockets a second time, for a successor. As long as this is held they stay
/// open, whether anybody accepts from them or not.
pub struct Estate(Vec<(&'static str, OwnedFd)>);

impl Listeners {
    /// Sockets that are there already come first; what is missing is opened.
    ///
    /// # Errors
    /// An address can't be listened on.
    pub fn open(config: &NodeConfig, inherited: &mut Inherited) -> anyhow::Result<Listeners> {
        let mut spread = |name, key, addresses: &[SocketAddr]| spread(name, key, addresses, config.workers, inherited);
        let (proxy, proxy_addresses) = spread(PROXY, "proxy.listen", &config.proxy_addresses)?;
        let (tls, tls_addresses) = spread(PROXY_TLS, "proxy.tls.listen", &config.tls_addresses)?;
        let mut single = |name: &str, address: SocketAddr| {
            let there = inherited.take(name, address).into_iter().next();
            there.map_or_else(|| bind(address, false), Ok).with_context(|| busy(&format!("{name}.listen"), address))
        };
        let admin = single(ADMIN, config.admin_address)?;
        let status = single(STATUS, config.status_address)?;
        Ok(Listeners { proxy, tls, admin, status, proxy_addresses, tls_addresses })
    }

    pub fn addresses(&self) -> io::Result<Addresses> {
        let (proxy, tls) = (self.proxy_addresses.clone(), self.tls_addresses.clone());
        Ok(Addresses { proxy, tls, admin: self.admin.local_addr()?, status: self.status.local_addr()? })
    }

    /// What a successor will need.
    pub fn estate(&self) -> io::Result<Estate> {
        let proxy = self.proxy.iter().flatten().map(|listener| (PROXY, listener));
        let tls = self.tls.iter().flatten().map(|listener| (PROXY_TLS, listener));
        let all = proxy.chain(tls).chain([(ADMIN, &self.admin), (STATUS, &self.status)]);
        all.map(|(name, listener)| Ok((name, listener.try_clone()?.into()))).collect::<io::Result<_>>().map(Estate)
    }
}

impl Addresses {
    /// Writes where the node listens to the file, if there is one, whole or not at all.
    pub fn announce(&self, file: Option<&Path>) -> anyhow::Result<()> {
        let Some(file) = file else { return Ok(()) };
        let addresses = serde_json::to_vec(self)?;
        let partial = file.with_extension("partial");
        std::fs::write(&partial, addresses)
            .and_then(|()| std::fs::rename(&partial, file))
            .with_context(|| format!("the addresses file {} can't be written", file.display()))
    }
}

impl Estate {
    /// Copies of all sockets with their names.
    pub fn copies(&self) -> io::Result<Vec<(&'static str, OwnedFd)>> {
        self.0.iter().map(|(name, socket)| Ok((*name, socket.try_clone()?))).collect()
    }
}

/// For each worker its listeners on these addresses, and the addresses as they turned out.
fn spread(
    name: &str,
    key: &str,
    addresses: &[SocketAddr],
    workers: usize,
    inherited: &mut Inherited,
) -> anyhow::Result<(Vec<Vec<TcpListener>>, Vec<SocketAddr>)> {
    let mut all: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    let mut bound = Vec::new();
    for &wanted in addresses {
        let sockets = match inherited.take(name, wanted) {
            none if none.is_empty() => fresh(wanted, workers),
            some => filled_up(some, workers),
        };
        let sockets = sockets.with_context(|| busy(key, wanted))?;
        bound.push(sockets[0].local_addr()?);
        // More sockets than workers: a socket that nobody accepts from would lose what it queued.
        for (index, socket) in sockets.into_iter().enumerate() {
            all[index % workers].push(socket);
        }
    }
    Ok((all, bound))
}

/// New sockets, one for each worker.
fn fresh(wanted: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    // SO_REUSEPORT would let a second gateway start on the same port and take half of the traffic: a
    // plain bind fails if anybody is there.
    drop(bind(wanted, false)?);
    let first = bind(wanted, true)?;
    filled_up(vec![first], workers)
}

/// At least one socket for each worker. A socket that can't share its port (a service manager's
/// without `ReusePort=yes`) is shared itself.
fn filled_up(mut sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<TcpListener>> {
    // Port 0 was wanted: the first listener's port is everyone's.
    let address = sockets[0].local_addr()?;
    let can_share_port = SockRef::from(&sockets[0]).reuse_port()?;
    for index in sockets.len()..workers {
        sockets.push(match can_share_port {
            true => bind(address, true)?,
            false => sockets[index % sockets.len()].try_clone()?,
        });
    }
    Ok(sockets)
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
