use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The time is over.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Runs the work, at most so long. The timer is made once the work first waits.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    Idle::new(time).bound(work).await
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

    /// Runs the work until the time is over; it counts from the last progress.
    pub(crate) async fn bound<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll_waiting(context).map(|()| Err(Elapsed)),
        })
        .await
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
