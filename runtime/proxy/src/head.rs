//! Bounds how long a request's head may take, apart from how long a connection may be silent.
//!
//! hyper has one timer for both: it is set when a head is waited for, and dropped when the head is
//! whole. That timer is made here. It starts with the time for silence, and the first byte that
//! comes gives it the time for a head instead; no further byte gives it more.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tokio::time::Instant;

/// The timer of one connection, which has to be told when bytes come.
#[derive(Clone, Debug)]
pub(crate) struct HeadTimer {
    /// hyper wants to be able to send it to another thread.
    reads: Arc<AtomicU64>,
    patience: Duration,
}

pin_project! {
    struct HeadSleep {
        reads: Arc<AtomicU64>,
        // Reads when the waiting began; `None` once the head has begun.
        before: Option<u64>,
        patience: Duration,
        #[pin]
        sleep: tokio::time::Sleep,
    }
}

impl HeadTimer {
    /// `patience` is for a head, from its first byte.
    pub(crate) fn new(patience: Duration) -> HeadTimer {
        HeadTimer { reads: Arc::default(), patience }
    }

    /// Bytes came.
    pub(crate) fn read(&self) {
        // One thread writes.
        self.reads.store(self.reads.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HeadSleep {
            reads: Arc::clone(&self.reads),
            before: Some(self.reads.load(Ordering::Relaxed)),
            patience: self.patience,
            sleep: tokio::time::sleep_until(deadline.into()),
        })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.before.is_some_and(|before| before != this.reads.load(Ordering::Relaxed)) {
            *this.before = None;
            this.sleep.as_mut().reset(Instant::now() + *this.patience);
        }
        ready!(this.sleep.poll(context));
        Poll::Ready(())
    }
}

impl Sleep for HeadSleep {}
