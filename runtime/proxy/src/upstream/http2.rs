//! HTTP/2 towards targets: many requests on one connection.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tollgate_model::entity::Timeouts;

use super::dial::{self, ConnectFailure, Opened};
use super::pool::{OpenCount, Sender};
use super::{ConnectionPool, Endpoint, PooledConnection};
use crate::body::RequestBody;

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

/// One connection and what is known of it.
pub(super) struct Multiplex {
    sender: SendRequest<RequestBody>,
    /// Streams that the target takes at once, as it says now.
    most_streams: Box<dyn Fn() -> usize>,
    streams: Cell<usize>,
    last_used: Cell<Instant>,
    /// When a response's head last came.
    heard: Cell<Option<Instant>>,
    /// Takes no new request.
    retired: Cell<bool>,
}

/// A request's place on a connection, until dropped.
pub(super) struct Http2Stream(Rc<Multiplex>);

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
        connection.streams.set(connection.streams.get() + 1);
        Some(PooledConnection::new(
            Sender::Http2(Http2Stream(Rc::clone(connection))),
            Arc::clone(endpoint),
            connection.heard.get().is_some(),
        ))
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
            lanes.connections.retain(|connection| {
                let idle = connection.streams.get() == 0 && connection.last_used.get().elapsed() >= patience;
                used && !idle && !connection.is_over()
            });
            used || lanes.dialing.is_some()
        });
    }
}

impl Lanes {
    fn is_dialing(&self, dialing: &Rc<Dialing>) -> bool {
        self.dialing.as_ref().is_some_and(|current| Rc::ptr_eq(current, dialing))
    }
}

impl Multiplex {
    /// Done once the target told its settings: from then on it is known to speak HTTP/2, and how many
    /// streams it takes.
    pub(super) async fn open<T>(
        stream: T,
        timeouts: &Timeouts,
        count: &OpenCount,
    ) -> Result<Rc<Multiplex>, ConnectFailure>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let tasks = LocalTasks::default();
        let (sender, connection) = Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            .initial_max_send_streams(UNTOLD)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW * MOST_STREAMS as u32)
            .max_header_list_size(HEAD_SIZE)
            // Two unanswered ones at most while a response pauses: some servers count more as abuse.
            .keep_alive_interval((timeouts.idle / 2).max(SHORTEST_KEEP_ALIVE))
            .keep_alive_timeout(timeouts.connect)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(dial::failed)?;
        let connection = Rc::new(RefCell::new(Some(connection)));
        let (driven, progress, open) = (Rc::clone(&connection), Rc::clone(&tasks.progress), count.one());
        tokio::task::spawn_local(async move {
            let _open = open;
            let ended = std::future::poll_fn(|context| match &mut *driven.borrow_mut() {
                Some(connection) => Pin::new(connection).poll(context),
                None => Poll::Ready(Ok(())),
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "upstream connection ended");
            }
            // Gives back what was not sent yet, and tells the sender.
            driven.replace(None);
            progress.notify_one();
        });
        let most_streams =
            move || connection.borrow().as_ref().map_or(0, |connection| connection.current_max_send_streams());
        while most_streams() == UNTOLD {
            tasks.progress.notified().await;
        }
        if sender.is_closed() {
            return Err(dial::failed("the target does not speak HTTP/2"));
        }
        tasks.told.set(true);
        Ok(Rc::new(Multiplex {
            sender,
            most_streams: Box::new(most_streams),
            streams: Cell::new(0),
            last_used: Cell::new(Instant::now()),
            heard: Cell::new(None),
            retired: Cell::new(false),
        }))
    }

    fn is_over(&self) -> bool {
        self.retired.get() || self.sender.is_closed()
    }

    fn has_room(&self) -> bool {
        self.streams.get() < (self.most_streams)().min(MOST_STREAMS)
    }
}

impl Http2Stream {
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let connection = &self.0;
        let sent = connection.sender.clone().try_send_request(request).await;
        match &sent {
            Ok(_) => connection.heard.set(Some(Instant::now())),
            // Refused by a GOAWAY, or not even sent: nothing new goes there.
            Err(_) if connection.sender.is_closed() => connection.retired.set(true),
            Err(_) => {}
        }
        sent
    }

    /// Its request waited in vain since `sent`: if nobody else was answered meanwhile, the connection
    /// may be dead.
    pub(super) fn suspect(&self, sent: Instant) {
        if self.0.heard.get().is_none_or(|heard| heard < sent) {
            self.0.retired.set(true);
        }
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.last_used.set(Instant::now());
    }
}

/// Runs what hyper needs beside a connection, and tells when it did something, until the target's
/// settings are known.
#[derive(Clone, Default)]
struct LocalTasks {
    told: Rc<Cell<bool>>,
    progress: Rc<Notify>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for LocalTasks {
    fn execute(&self, task: F) {
        if self.told.get() {
            tokio::task::spawn_local(task);
            return;
        }
        let tasks = self.clone();
        let mut task = Box::pin(task);
        tokio::task::spawn_local(std::future::poll_fn(move |context| {
            let polled = task.as_mut().poll(context);
            if !tasks.told.get() {
                tasks.progress.notify_one();
            }
            polled
        }));
    }
}

/// No target says this.
const UNTOLD: usize = usize::MAX - 1;
/// Streams of one connection, whatever the target would take: what one connection carries, one
/// packet loss holds up.
const MOST_STREAMS: usize = 256;
/// What a client that does not read may pile up here. A connection has room for all its streams, so
/// that one of them never stops the others.
const STREAM_WINDOW: u32 = 256 << 10;
/// Of a response's head.
const HEAD_SIZE: u32 = 256 << 10;
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(1);
