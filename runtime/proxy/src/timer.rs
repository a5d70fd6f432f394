use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The time is over.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Runs the work, at most so long. The timer is made once the work first waits.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    let mut idle = Idle::new(time);
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => idle.poll_waiting(context).map(|()| Err(Elapsed)),
    })
    .await
}

/// Measures how long something made no progress.
#[derive(Debug)]
pub(crate) struct Idle {
    time: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    moved: bool,
}

impl Idle {
    pub(crate) fn new(time: Duration) -> Idle {
        Idle { time, sleep: None, moved: false }
    }

    /// There was progress.
    pub(crate) fn progress(&mut self) {
        self.moved = true;
    }

    /// Nothing to do but wait: ready when that lasted too long.
    pub(crate) fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let time = self.time;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        if std::mem::take(&mut self.moved) {
            sleep.as_mut().reset(Instant::now() + time);
        }
        sleep.as_mut().poll(context)
    }
}
