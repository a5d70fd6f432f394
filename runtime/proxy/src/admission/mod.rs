//! Lets connections in: how many at once, how many from one address, and which worker serves them.
//!
//! Shared by all workers. Everything here happens once a connection, nothing once a request.

mod addresses;

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::config::ProxyConfig;
use crate::tls::TlsServer;
use addresses::{AddressCounts, Block};

/// What the workers of a node know of each other.
pub(crate) struct Admission {
    room: Arc<Semaphore>,
    addresses: Option<AddressCounts>,
    /// Descriptors from this number on are not for clients.
    ceiling: usize,
    workers: Box<[Desk]>,
}

/// Where a worker takes connections that others accepted.
struct Desk {
    open: AtomicUsize,
    inbox: mpsc::UnboundedSender<Arrival>,
}

/// A connection on its way from one worker to another.
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Of the listener that it came to; `None`: plaintext.
    pub(crate) tls: Option<TlsServer>,
    pub(crate) ticket: Ticket,
}

/// A connection's share of what is bounded, until dropped.
#[must_use]
pub(crate) struct Ticket {
    admission: Arc<Admission>,
    worker: usize,
    block: Option<Block>,
    _room: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// With the inbox of each worker.
    pub(crate) fn new(config: &ProxyConfig, workers: usize) -> (Arc<Admission>, Vec<mpsc::UnboundedReceiver<Arrival>>) {
        let (desks, inboxes): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let (inbox, arrivals) = mpsc::unbounded_channel();
                (Desk { open: AtomicUsize::new(0), inbox }, arrivals)
            })
            .unzip();
        let admission = Admission {
            room: Arc::new(Semaphore::new(config.connections.unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS))),
            addresses: config.connections_per_address.map(AddressCounts::new),
            ceiling: config.descriptor_ceiling,
            workers: desks.into(),
        };
        (Arc::new(admission), inboxes)
    }

    /// Room for one more connection, if there is any now.
    pub(crate) fn try_room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Waits for room, in the order of asking.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// Counts a connection of this peer; `Err` when its address has as many as one may have.
    pub(crate) fn count_address(&self, peer: SocketAddr) -> Result<Option<Block>, AddressFull> {
        match &self.addresses {
            None => Ok(None),
            Some(addresses) => addresses.enter(peer.ip()).map(Some).ok_or(AddressFull),
        }
    }

    /// Counts a connection to the worker that should serve it, of which `own` has accepted it: that
    /// one, unless it has far more open than another.
    pub(crate) fn ticket(
        self: &Arc<Self>,
        own: usize,
        block: Option<Block>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Ticket {
        let worker = self.lightest_beside(own);
        self.workers[worker].open.fetch_add(1, Ordering::Relaxed);
        Ticket { admission: Arc::clone(self), worker, block, _room: room }
    }

    /// Connections that this worker serves, or is about to.
    pub(crate) fn open_at(&self, worker: usize) -> usize {
        self.workers[worker].open.load(Ordering::Relaxed)
    }

    /// Gives the connection to its ticket's worker; back when that takes no more.
    pub(crate) fn hand_over(&self, arrival: Arrival) -> Result<(), Arrival> {
        self.workers[arrival.ticket.worker].inbox.send(arrival).map_err(|refused| refused.0)
    }

    /// Fewer descriptors are free than are kept for everything that is not a client.
    pub(crate) fn is_short_of_descriptors(&self) -> bool {
        // The system gives the lowest free number, so a copy of any descriptor tells how many are open.
        match std::io::stderr().as_fd().try_clone_to_owned() {
            Ok(lowest) => self.is_over_ceiling(&lowest),
            Err(_) => true,
        }
    }

    pub(crate) fn is_over_ceiling(&self, descriptor: &impl AsRawFd) -> bool {
        usize::try_from(descriptor.as_raw_fd()).is_ok_and(|number| number >= self.ceiling)
    }

    fn lightest_beside(&self, own: usize) -> usize {
        let here = self.open_at(own);
        if here < SLACK {
            return own;
        }
        let lightest = (0..self.workers.len()).min_by_key(|&worker| self.open_at(worker)).unwrap_or(own);
        let fewest = self.open_at(lightest);
        if here >= fewest + SLACK + fewest / TOLERANCE { lightest } else { own }
    }
}

/// The address has as many connections as one may have.
#[derive(Debug)]
pub(crate) struct AddressFull;

impl Ticket {
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    /// The connection is served by this worker after all.
    pub(crate) fn moved_to(&mut self, worker: usize) {
        self.admission.workers[worker].open.fetch_add(1, Ordering::Relaxed);
        self.admission.workers[self.worker].open.fetch_sub(1, Ordering::Relaxed);
        self.worker = worker;
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("worker", &self.worker).finish_non_exhaustive()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.workers[self.worker].open.fetch_sub(1, Ordering::Relaxed);
        if let (Some(addresses), Some(block)) = (&self.admission.addresses, self.block) {
            addresses.leave(block);
        }
    }
}

/// So many connections, and one part of so many, a worker may have more than another: moving one
/// costs two system calls and a wake-up, and short ones even out by themselves.
const SLACK: usize = 4;
const TOLERANCE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(workers: usize) -> Arc<Admission> {
        Admission::new(&ProxyConfig::default(), workers).0
    }

    #[test]
    fn long_connections_even_out_however_they_come_in() {
        let admission = admission(3);
        let tickets: Vec<Ticket> = (0..300).map(|_| admission.ticket(0, None, None)).collect();
        let on = |worker| tickets.iter().filter(|ticket| ticket.worker() == worker).count();
        for worker in 0..3 {
            assert!((85..=115).contains(&on(worker)), "{} on worker {worker}", on(worker));
        }
        drop(tickets);
        assert!((0..3).all(|worker| admission.open_at(worker) == 0));
    }

    #[test]
    fn few_connections_stay_where_they_came_in() {
        let admission = admission(2);
        let tickets: Vec<Ticket> = (0..SLACK).map(|_| admission.ticket(1, None, None)).collect();
        assert!(tickets.iter().all(|ticket| ticket.worker() == 1));
    }

    #[test]
    fn room_comes_back_with_the_ticket() {
        let config = ProxyConfig { connections: Some(1), ..ProxyConfig::default() };
        let (admission, _inboxes) = Admission::new(&config, 1);
        let ticket = admission.ticket(0, None, admission.try_room());
        assert!(admission.try_room().is_none());
        drop(ticket);
        assert!(admission.try_room().is_some());
    }
}
