//! A response that came before its request was sent whole. From then on a task of its own sends what is left of the
//! one and passes on the other: a client that reads nothing until all is sent, or a target that wants all before it
//! goes on, would otherwise wait for ever.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;

use super::upstream::{Source, broke_off};
use super::{BodyError, PieceSender, piped};
use crate::drain::Open;
use crate::error::ErrorKind;
use crate::timer::{Elapsed, Idle};
use crate::upstream::{Broken, Http1, InFlight, PooledConnection, Sender};
use crate::worker::Shared;

/// Where the body comes from, if there is one. `counted`: what the request counts as, until all of it is over.
pub(super) fn source(
    worker: &Rc<Shared>,
    mut connection: PooledConnection,
    idle: Duration,
    counted: (InFlight, Option<Open>),
) -> Source {
    let (worker, (pieces, piped)) = (Rc::clone(worker), piped());
    let Sender::Http1(http1) = &connection.sender else { return Source::Over };
    let source = if http1.is_over() { Source::Over } else { Source::Early(piped, http1.exact_size()) };
    tokio::task::spawn_local(async move {
        let _counted = counted;
        let Sender::Http1(http1) = &mut connection.sender else { return };
        let mut both = Both { http1, idle: Idle::new(idle), patience: idle };
        if both.pass_on(pieces).await && both.send_rest().await {
            connection.give_back(&worker.pool);
        }
    });
    source
}

/// The request and the response that are under way.
struct Both<'c> {
    http1: &'c mut Http1,
    idle: Idle,
    patience: Duration,
}

impl Both<'_> {
    /// True once the response is passed on whole.
    async fn pass_on(&mut self, pieces: PieceSender) -> bool {
        // Not by whether somebody reads: who has the whole length asks no further.
        while !self.http1.is_over() {
            let next = tokio::select! {
                biased;
                () = pieces.closed() => return false,
                next = self.next() => next,
            };
            match next {
                Ok(Some(Ok(frame))) => {
                    self.meanwhile(pieces.send(frame)).await;
                }
                Ok(None) => {}
                Ok(Some(Err(broken))) => {
                    pieces.break_off(broke_off(broken.body, &broken.detail)).await;
                    return false;
                }
                Err(Elapsed) => {
                    pieces.break_off(BodyError(ErrorKind::UpstreamTimeout)).await;
                    return false;
                }
            }
        }
        self.meanwhile(pieces.end()).await;
        true
    }

    /// The next piece of the response. As long as the request goes on, the target may take its time.
    async fn next(&mut self) -> Result<Option<Result<Frame<Bytes>, Broken>>, Elapsed> {
        let Both { http1, idle, patience } = self;
        loop {
            let sent = http1.sent();
            idle.start_over(*patience);
            match idle.bound(poll_fn(|context| http1.poll_body(context))).await {
                Err(Elapsed) if http1.sent() > sent => {}
                outcome => return outcome,
            }
        }
    }

    /// Whatever else is waited for: the request is sent meanwhile.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (http1, mut work) = (&mut *self.http1, pin!(work));
        poll_fn(|context| {
            let _ = http1.poll_rest(context);
            work.as_mut().poll(context)
        })
        .await
    }

    /// False when the target does not take the rest of the request.
    async fn send_rest(&mut self) -> bool {
        let Both { http1, idle, patience } = self;
        loop {
            let sent = http1.sent();
            idle.start_over(*patience);
            match idle.bound(poll_fn(|context| http1.poll_rest(context))).await {
                Ok(()) => return true,
                Err(Elapsed) if http1.sent() > sent => {}
                Err(Elapsed) => return false,
            }
        }
    }
}
