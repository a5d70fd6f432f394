use std::borrow::BorrowMut;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

/// The time is over.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Runs the work, at most so long. The timer is made once the work first waits.
pub(crate) fn within<F: Future>(time: Duration, work: F) -> Bound<Idle, F> {
    Bound { idle: Idle::new(time), work }
}

pin_project! {
    /// Work that may take so long. No `async fn`: that would have room for the work twice.
    pub(crate) struct Bound<I, F> {
        idle: I,
        #[pin]
        work: F,
    }
}

impl<I: BorrowMut<Idle>, F: Future> Future for Bound<I, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.work.poll(context) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => this.idle.borrow_mut().poll_waiting(context).map(|()| Err(Elapsed)),
        }
    }
}

/// Measures how long something made no progress. The timer is made when that first lasts, and moved
/// only when it goes off too early: progress costs a look at the clock.
#[derive(Debug)]
pub(crate) struct Idle {
    time: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    moved: bool,
    deadline: Option<Instant>,
}

impl Idle {
    pub(crate) fn new(time: Duration) -> Idle {
        Idle { time, sleep: None, moved: true, deadline: None }
    }

    /// There was progress.
    pub(crate) fn progress(&mut self) {
        self.moved = true;
    }

    /// Measures something else from now on, with the timer it has.
    pub(crate) fn start_over(&mut self, time: Duration) {
        self.time = time;
        self.moved = true;
    }

    /// The same from a moment that is known: nobody has to look at the clock.
    pub(crate) fn start_over_at(&mut self, moment: std::time::Instant, time: Duration) {
        self.time = time;
        self.moved = false;
        self.deadline = Some(Instant::from_std(moment) + time);
    }

    /// Runs the work until the time is over; it counts from the last progress.
    pub(crate) fn bound<F: Future>(&mut self, work: F) -> Bound<&mut Idle, F> {
        Bound { idle: self, work }
    }

    /// Nothing to do but wait: ready when that lasted too long.
    pub(crate) fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = match self.deadline {
            Some(deadline) if !std::mem::take(&mut self.moved) => deadline,
            _ => {
                self.moved = false;
                *self.deadline.insert(Instant::now() + self.time)
            }
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}
