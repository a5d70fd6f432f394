//! Which connection of HTTP/2 a request takes, and opening one more.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Notify;
use tollgate_model::entity::Timeouts;

use super::dial::{self, ConnectFailure, Opened};
use super::http2::Multiplex;
use super::pool::{OpenCount, Sender};
use super::{ConnectionPool, Endpoint, PooledConnection};

/// All of a worker, by endpoint.
#[derive(Default)]
pub(super) struct Multiplexes {
    by_endpoint: RefCell<HashMap<*const Endpoint, Lanes, RandomState>>,
}

/// The connections to one endpoint.
struct Lanes {
    endpoint: Arc<Endpoint>,
    connections: Vec<Rc<Multiplex>>,
    dialing: Option<Rc<Dialing>>,
    /// It chose HTTP/1.1 the last time it had the choice.
    chose_http1: bool,
}

/// A connection that is being opened, on a task of its own: whoever needs it waits for the same one,
/// and none of them takes it along when its client goes away.
#[derive(Default)]
struct Dialing {
    /// Taken by the first who sees that it is done; a failure stays for all.
    outcome: RefCell<Option<Result<Opened, ConnectFailure>>>,
    is_done: Cell<bool>,
    done: Notify,
}

impl Dialing {
    fn has_failed(&self) -> bool {
        matches!(&*self.outcome.borrow(), Some(Err(_)))
    }
}

impl ConnectionPool {
    /// A stream to an endpoint that speaks HTTP/2, or a connection to one that chose HTTP/1.1.
    pub(super) async fn multiplexed(
        &self,
        endpoint: &Arc<Endpoint>,
        timeouts: &Timeouts,
    ) -> Result<PooledConnection, ConnectFailure> {
        loop {
            if let Some(stream) = self.multiplexes.stream(endpoint) {
                return Ok(stream);
            }
            if self.multiplexes.chose_http1(endpoint) {
                if let Some(idle) = self.take(endpoint) {
                    return Ok(idle);
                }
                match dial::open(endpoint, timeouts, false, &self.open).await? {
                    Opened::Http1(connection) => return Ok(connection),
                    // It changed its mind.
                    Opened::Http2(connection) => self.multiplexes.add(endpoint, connection),
                }
                continue;
            }
            let dialing = self.multiplexes.dial(endpoint, timeouts, &self.open);
            while !dialing.is_done.get() {
                dialing.done.notified().await;
            }
            if let Some(own) = self.multiplexes.settle(endpoint, &dialing)? {
                return Ok(own);
            }
        }
    }
}

impl Multiplexes {
    fn stream(&self, endpoint: &Arc<Endpoint>) -> Option<PooledConnection> {
        let mut lanes = self.by_endpoint.borrow_mut();
        let connections = &mut lanes.get_mut(&Arc::as_ptr(endpoint))?.connections;
        connections.retain(|connection| !connection.is_over());
        let connection = connections.iter().find(|connection| connection.has_room())?;
        let sender = Sender::Http2(connection.stream());
        Some(PooledConnection::new(sender, Arc::clone(endpoint), connection.epoch(), connection.has_answered()))
    }

    /// Those with connections.
    pub(super) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let lanes = self.by_endpoint.borrow();
        let connected = lanes.values().filter(|lanes| !lanes.connections.is_empty());
        connected.map(|lanes| Arc::clone(&lanes.endpoint)).collect()
    }

    fn chose_http1(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.by_endpoint.borrow().get(&Arc::as_ptr(endpoint)).is_some_and(|lanes| lanes.chose_http1)
    }

    fn add(&self, endpoint: &Arc<Endpoint>, connection: Rc<Multiplex>) {
        if let Some(lanes) = self.by_endpoint.borrow_mut().get_mut(&Arc::as_ptr(endpoint)) {
            lanes.chose_http1 = false;
            lanes.connections.push(connection);
        }
    }

    /// The connection that is being opened, from now on if none was.
    fn dial(&self, endpoint: &Arc<Endpoint>, timeouts: &Timeouts, count: &OpenCount) -> Rc<Dialing> {
        let mut lanes = self.by_endpoint.borrow_mut();
        let lanes = lanes.entry(Arc::as_ptr(endpoint)).or_insert_with(|| Lanes {
            endpoint: Arc::clone(endpoint),
            connections: Vec::new(),
            dialing: None,
            chose_http1: false,
        });
        // Who waited has gone, or has its own reference to the failure: who comes later tries anew.
        lanes.dialing.take_if(|dialing| dialing.has_failed());
        let dialing = lanes.dialing.get_or_insert_with(|| {
            let dialing = Rc::new(Dialing::default());
            let (told, endpoint, timeouts, count) =
                (Rc::clone(&dialing), Arc::clone(endpoint), *timeouts, count.clone());
            tokio::task::spawn_local(async move {
                let outcome = dial::open(&endpoint, &timeouts, false, &count).await;
                told.outcome.replace(Some(outcome));
                told.is_done.set(true);
                told.done.notify_waiters();
            });
            dialing
        });
        Rc::clone(dialing)
    }

    /// The first who sees that it is done adds the connection to the others, or gets it, if only one
    /// can have it.
    fn settle(
        &self,
        endpoint: &Arc<Endpoint>,
        dialing: &Rc<Dialing>,
    ) -> Result<Option<PooledConnection>, ConnectFailure> {
        let mut lanes = self.by_endpoint.borrow_mut();
        let current = lanes.get_mut(&Arc::as_ptr(endpoint)).filter(|lanes| lanes.is_dialing(dialing));
        let Some(lanes) = current else {
            return match &*dialing.outcome.borrow() {
                Some(Err(failure)) => Err(failure.clone()),
                _ => Ok(None),
            };
        };
        lanes.dialing = None;
        let mut outcome = dialing.outcome.borrow_mut();
        match outcome.take() {
            Some(Ok(Opened::Http2(connection))) => lanes.connections.push(connection),
            Some(Ok(Opened::Http1(connection))) => {
                lanes.chose_http1 = true;
                return Ok(Some(connection));
            }
            Some(Err(failure)) => {
                *outcome = Some(Err(failure.clone()));
                return Err(failure);
            }
            None => {}
        }
        Ok(None)
    }

    /// Closes what has been idle too long, and all to endpoints that are gone.
    pub(super) fn sweep(&self, patience: Duration, is_used: impl Fn(&Arc<Endpoint>) -> bool) {
        self.by_endpoint.borrow_mut().retain(|_, lanes| {
            let used = is_used(&lanes.endpoint);
            let epoch = lanes.endpoint.epoch();
            let stays = |connection: &Rc<Multiplex>| {
                used && connection.epoch() == epoch && !connection.is_idle_for(patience) && !connection.is_over()
            };
            lanes.connections.retain(stays);
            used || lanes.dialing.as_ref().is_some_and(|dialing| !dialing.is_done.get())
        });
    }
}

impl Lanes {
    fn is_dialing(&self, dialing: &Rc<Dialing>) -> bool {
        self.dialing.as_ref().is_some_and(|current| Rc::ptr_eq(current, dialing))
    }
}
