//! A worker's connections to upstream targets.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::Endpoint;
use super::http1::Http1;
use super::http2::Http2Stream;
use super::lanes::Multiplexes;
use crate::timer;

/// One worker's. Of HTTP/1.1 the idle ones, most recently used first; of HTTP/2 all.
pub(crate) struct ConnectionPool {
    idle: RefCell<HashMap<*const Endpoint, IdleConnections, RandomState>>,
    pub(super) multiplexes: Multiplexes,
    most: usize,
    patience: Duration,
    swept_at: Cell<Instant>,
    pub(super) open: OpenCount,
}

struct IdleConnections {
    endpoint: Arc<Endpoint>,
    connections: Vec<Idle>,
}

struct Idle {
    connection: Box<Http1>,
    timer: timer::Idle,
    since: Instant,
    epoch: u32,
}

/// A connection, or a stream of one, that serves a request. Dropped, it is closed;
/// [`PooledConnection::give_back`] keeps it.
pub(crate) struct PooledConnection {
    pub(crate) sender: Sender,
    pub(crate) endpoint: Arc<Endpoint>,
    /// It served a request before: the target may have closed it meanwhile.
    pub(crate) reused: bool,
    /// When its last request was sent.
    pub(crate) used: Instant,
    /// Of its endpoint, when it was opened.
    epoch: u32,
    /// For waiting on it; kept with it, so that not every request makes one.
    pub(crate) timer: timer::Idle,
}

/// By the protocol that is spoken.
pub(crate) enum Sender {
    Http1(Box<Http1>),
    Http2(Http2Stream),
}

/// Open connections, busy and idle.
#[derive(Clone, Default)]
pub(super) struct OpenCount(Rc<Cell<u64>>);

/// Counts an open connection until dropped.
pub(crate) struct OpenConnection(Rc<Cell<u64>>);

impl ConnectionPool {
    pub(crate) fn new(most: usize, patience: Duration) -> ConnectionPool {
        ConnectionPool {
            idle: RefCell::default(),
            multiplexes: Multiplexes::default(),
            most,
            patience,
            swept_at: Cell::new(Instant::now()),
            open: OpenCount::default(),
        }
    }

    /// An idle HTTP/1.1 connection that is still open.
    pub(super) fn take(&self, endpoint: &Arc<Endpoint>) -> Option<PooledConnection> {
        let mut idle = self.idle.borrow_mut();
        let connections = &mut idle.get_mut(&Arc::as_ptr(endpoint))?.connections;
        while let Some(Idle { mut connection, timer, epoch, since }) = connections.pop() {
            if connection.is_quiet() {
                let sender = Sender::Http1(connection);
                let endpoint = Arc::clone(endpoint);
                return Some(PooledConnection { sender, endpoint, reused: true, used: since, epoch, timer });
            }
        }
        None
    }

    /// A kept connection to this target turned out dead. Those that have been idle since before then most
    /// likely are too (it was restarted, or something between forgot them): a request that tried one after
    /// the other would run out of attempts.
    pub(crate) fn distrust(&self, endpoint: &Arc<Endpoint>, since: Instant) {
        if let Some(idle) = self.idle.borrow_mut().get_mut(&Arc::as_ptr(endpoint)) {
            idle.connections.retain(|idle| idle.since > since);
        }
    }

    /// Connections to targets, busy and idle.
    pub(crate) fn open(&self) -> u64 {
        self.open.0.get()
    }

    /// Closes what has been idle too long, and all to endpoints that are gone.
    pub(crate) fn sweep(&self, is_used: impl Fn(&Arc<Endpoint>) -> bool) {
        let (patience, now) = (self.patience, Instant::now());
        self.swept_at.set(now);
        self.idle.borrow_mut().retain(|_, idle| {
            if !is_used(&idle.endpoint) {
                return false;
            }
            let epoch = idle.endpoint.epoch();
            let stays =
                |idle: &mut Idle| idle.epoch == epoch && now - idle.since < patience && idle.connection.is_quiet();
            idle.connections.retain_mut(stays);
            !idle.connections.is_empty() || idle.endpoint.load() > 0
        });
        self.multiplexes.sweep(patience, is_used);
    }

    /// Those that connections are kept to, and that requests are on their way to on connections that were.
    pub(crate) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let mut endpoints: Vec<_> = self.idle.borrow().values().map(|idle| Arc::clone(&idle.endpoint)).collect();
        endpoints.extend(self.multiplexes.endpoints());
        endpoints
    }

    /// Closes all that are idle, to free their descriptors.
    pub(crate) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
        self.multiplexes.sweep(Duration::ZERO, |_| true);
    }
}

impl PooledConnection {
    pub(super) fn new(sender: Sender, endpoint: Arc<Endpoint>, epoch: u32, reused: bool) -> PooledConnection {
        PooledConnection {
            sender,
            endpoint,
            reused,
            used: Instant::now(),
            epoch,
            timer: timer::Idle::new(Duration::ZERO),
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// The response was read whole: the connection may serve the next request.
    pub(crate) fn give_back(self, pool: &ConnectionPool) {
        // A stream of HTTP/2 is over, its connection goes on.
        let Sender::Http1(mut connection) = self.sender else { return };
        if !connection.can_be_kept() || self.epoch != self.endpoint.epoch() {
            return;
        }
        let mut idle = pool.idle.borrow_mut();
        let here = idle
            .entry(Arc::as_ptr(&self.endpoint))
            .or_insert_with(|| IdleConnections { endpoint: Arc::clone(&self.endpoint), connections: Vec::new() });
        if here.connections.len() < pool.most {
            connection.rest();
            // Close enough, without a look at the clock: most requests are short, and sweeps are frequent.
            let since = self.used.max(pool.swept_at.get());
            here.connections.push(Idle { connection, timer: self.timer, since, epoch: self.epoch });
        }
    }

    /// A request on it was not answered in time.
    pub(crate) fn suspect(&self, sent: Instant) {
        if let Sender::Http2(stream) = &self.sender {
            stream.suspect(sent);
        }
    }
}

impl OpenCount {
    pub(super) fn one(&self) -> OpenConnection {
        self.0.set(self.0.get() + 1);
        OpenConnection(Rc::clone(&self.0))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
