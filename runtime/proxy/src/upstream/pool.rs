//! A worker's connections to upstream targets.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hyper::client::conn::http1::SendRequest;

use super::Endpoint;
use crate::body::RequestBody;

/// Idle connections of one worker, most recently used first.
pub(crate) struct ConnectionPool {
    idle: RefCell<HashMap<*const Endpoint, IdleConnections, RandomState>>,
    most: usize,
    patience: Duration,
    open: Rc<Cell<u64>>,
}

struct IdleConnections {
    endpoint: Arc<Endpoint>,
    connections: Vec<Idle>,
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A connection that serves a request. Dropped, it is closed; [`PooledConnection::give_back`]
/// keeps it.
pub(crate) struct PooledConnection {
    pub(crate) sender: SendRequest<RequestBody>,
    pub(crate) endpoint: Arc<Endpoint>,
    /// It served a request before: the target may have closed it meanwhile.
    pub(crate) reused: bool,
}

/// Counts an open connection until dropped.
pub(crate) struct OpenConnection(Rc<Cell<u64>>);

impl ConnectionPool {
    pub(crate) fn new(most: usize, patience: Duration) -> ConnectionPool {
        ConnectionPool { idle: RefCell::default(), most, patience, open: Rc::default() }
    }

    /// An idle connection that is still open.
    pub(crate) fn take(&self, endpoint: &Arc<Endpoint>) -> Option<PooledConnection> {
        let mut idle = self.idle.borrow_mut();
        let connections = &mut idle.get_mut(&Arc::as_ptr(endpoint))?.connections;
        while let Some(Idle { sender, .. }) = connections.pop() {
            if sender.is_ready() {
                return Some(PooledConnection { sender, endpoint: Arc::clone(endpoint), reused: true });
            }
        }
        None
    }

    pub(crate) fn count_open(&self) -> OpenConnection {
        self.open.set(self.open.get() + 1);
        OpenConnection(Rc::clone(&self.open))
    }

    /// Connections to targets, busy and idle.
    pub(crate) fn open(&self) -> u64 {
        self.open.get()
    }

    /// Closes what has been idle too long, and all to endpoints that are gone.
    pub(crate) fn sweep(&self, is_used: impl Fn(&Arc<Endpoint>) -> bool) {
        let patience = self.patience;
        self.idle.borrow_mut().retain(|_, idle| {
            if !is_used(&idle.endpoint) {
                return false;
            }
            idle.connections.retain(|idle| idle.since.elapsed() < patience && !idle.sender.is_closed());
            !idle.connections.is_empty()
        });
    }

    /// Closes all that are idle, to free their descriptors.
    pub(crate) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }
}

impl PooledConnection {
    /// The response was read whole: the connection may serve the next request.
    pub(crate) fn give_back(self, pool: &ConnectionPool) {
        if self.sender.is_closed() {
            return;
        }
        let mut idle = pool.idle.borrow_mut();
        let here = idle
            .entry(Arc::as_ptr(&self.endpoint))
            .or_insert_with(|| IdleConnections { endpoint: Arc::clone(&self.endpoint), connections: Vec::new() });
        if here.connections.len() < pool.most {
            here.connections.push(Idle { sender: self.sender, since: Instant::now() });
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
