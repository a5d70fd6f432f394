//! One stream: its task, and the end of it when its client takes nothing of the response any more.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;

use crate::body::{BodyError, ResponseBody};
use crate::timer::Idle;

/// Runs the streams of a connection on its worker's thread.
#[derive(Clone)]
pub(super) struct Streams {
    /// Of the stream whose task comes next: hyper asks the service for a future and hands it to its
    /// executor in one go.
    next: Rc<RefCell<Option<Rc<Delivery>>>>,
    patience: Duration,
}

/// Where the response of a stream is.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// A piece of it waits until the client makes room.
    handed_over: Cell<bool>,
    moved: Cell<bool>,
}

/// A response body that tells how its delivery goes.
pub(super) struct Delivered {
    body: ResponseBody,
    delivery: Rc<Delivery>,
}

impl Streams {
    /// `patience`: how long a client may take nothing of a response.
    pub(super) fn new(patience: Duration) -> Streams {
        Streams { next: Rc::default(), patience }
    }

    pub(super) fn begin(&self) -> Rc<Delivery> {
        let delivery = Rc::new(Delivery::default());
        *self.next.borrow_mut() = Some(Rc::clone(&delivery));
        delivery
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        match self.next.take() {
            Some(delivery) => tokio::task::spawn_local(attended(stream, delivery, self.patience)),
            // The sending half of a tunnel.
            None => tokio::task::spawn_local(stream),
        };
    }
}

/// Drops a stream that stalls, which resets it. The others of its connection go on.
async fn attended(stream: impl Future<Output = ()>, delivery: Rc<Delivery>, patience: Duration) {
    let mut stream = pin!(stream);
    let mut idle = Idle::new(patience);
    poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if delivery.moved.take() {
            idle.progress();
        }
        if delivery.handed_over.get() { idle.poll_waiting(context) } else { Poll::Pending }
    })
    .await;
}

impl Delivered {
    pub(super) fn new(body: ResponseBody, delivery: Rc<Delivery>) -> Delivered {
        Delivered { body, delivery }
    }
}

impl Body for Delivered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        this.delivery.handed_over.set(polled.is_ready());
        this.delivery.moved.set(true);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
