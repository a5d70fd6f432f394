//! A connection of HTTP/2 towards a target: many requests at once.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::Request;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tollgate_model::entity::Timeouts;

use super::connect::Answer;
use super::dial::{self, ConnectFailure};
use super::pool::OpenCount;
use crate::body::RequestBody;

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
    /// Of its endpoint, when it was opened.
    epoch: u32,
}

/// A request's place on a connection, until dropped.
pub(crate) struct Http2Stream(Rc<Multiplex>);

impl Multiplex {
    /// Done once the target told its settings: from then on it is known to speak HTTP/2, and how many
    /// streams it takes.
    pub(super) async fn open<T>(
        stream: T,
        epoch: u32,
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
        if most_streams() == 0 {
            return Err(dial::failed("the target takes no HTTP/2 stream"));
        }
        tasks.told.set(true);
        Ok(Rc::new(Multiplex {
            sender,
            most_streams: Box::new(most_streams),
            streams: Cell::new(0),
            last_used: Cell::new(Instant::now()),
            heard: Cell::new(None),
            retired: Cell::new(false),
            epoch,
        }))
    }

    /// A place for one request; there has to be room.
    pub(super) fn stream(self: &Rc<Self>) -> Http2Stream {
        self.streams.set(self.streams.get() + 1);
        Http2Stream(Rc::clone(self))
    }

    pub(super) fn has_answered(&self) -> bool {
        self.heard.get().is_some()
    }

    pub(super) fn is_idle_for(&self, time: Duration) -> bool {
        self.streams.get() == 0 && self.last_used.get().elapsed() >= time
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn is_over(&self) -> bool {
        self.retired.get() || self.sender.is_closed()
    }

    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < (self.most_streams)().min(MOST_STREAMS)
    }
}

impl Http2Stream {
    pub(crate) fn send(&mut self, request: Request<RequestBody>) -> impl Future<Output = Answer> + use<> {
        let connection = Rc::clone(&self.0);
        let answer = connection.sender.clone().try_send_request(request);
        async move {
            let answered = answer.await;
            match &answered {
                Ok(_) => connection.heard.set(Some(Instant::now())),
                // Refused by a GOAWAY, or not even sent: nothing new goes there.
                Err(_) if connection.sender.is_closed() => connection.retired.set(true),
                Err(_) => {}
            }
            answered
        }
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
