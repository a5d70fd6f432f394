//! Bounds how long a client may be silent between requests, and how long the head of one may take.
//!
//! hyper has one timer for both, and makes a new one for every request. Here a connection has a timer of
//! its own, which is moved only when it goes off too early or a head does not come in one piece. hyper's
//! is only asked for as a sign: it is made when a head is waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::timer::Idle;

/// What a connection is at. Told by hyper (as its timer), by who reads, and by who serves requests.
#[derive(Clone, Debug)]
pub(crate) struct HeadWatch {
    /// The turn and its [`Stage`]. Atomic for hyper, which wants to be able to send it to another thread;
    /// one thread uses it.
    now: Arc<AtomicU64>,
    /// When hyper last looked at the clock, which it does before it waits: nanoseconds from `opened`.
    looked: Arc<AtomicU64>,
    opened: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No byte of a head is there.
    Silent = 0,
    /// The head has begun.
    Begun = 1,
    /// It is whole: the request is served.
    Whole = 2,
}

/// A timer that never goes off, and needs no memory.
struct Sign;

impl Default for HeadWatch {
    fn default() -> HeadWatch {
        HeadWatch { now: Arc::default(), looked: Arc::default(), opened: Instant::now() }
    }
}

impl HeadWatch {
    /// Bytes came.
    pub(crate) fn read(&self) {
        let (turn, stage) = self.at();
        if stage == Stage::Silent {
            self.enter(turn, Stage::Begun);
        }
    }

    /// A head is whole.
    pub(crate) fn whole(&self) {
        self.enter(self.at().0, Stage::Whole);
    }

    /// Done once the client was silent for so long, or a head has taken longer than `patience` from its
    /// first byte. To be polled after the connection, each time that is.
    pub(crate) async fn overdue(&self, silence: Duration, patience: Duration) {
        let mut seen = None;
        let mut timer = Idle::new(silence);
        std::future::poll_fn(|context| {
            let now = self.at();
            let limit = match now.1 {
                Stage::Silent => silence,
                Stage::Begun => patience,
                Stage::Whole => return Poll::Pending,
            };
            if seen.replace(now) != Some(now) {
                match now.1 {
                    Stage::Silent => timer.start_over_at(self.silent_since(), limit),
                    _ => timer.start_over(limit),
                }
            }
            timer.poll_waiting(context)
        })
        .await;
    }

    fn silent_since(&self) -> Instant {
        self.opened + Duration::from_nanos(self.looked.load(Ordering::Relaxed))
    }

    fn at(&self) -> (u64, Stage) {
        let now = self.now.load(Ordering::Relaxed);
        let stage = match now % STAGES {
            0 => Stage::Silent,
            1 => Stage::Begun,
            _ => Stage::Whole,
        };
        (now / STAGES, stage)
    }

    fn enter(&self, turn: u64, stage: Stage) {
        self.now.store(turn * STAGES + stage as u64, Ordering::Relaxed);
    }
}

impl Timer for HeadWatch {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, _deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.enter(self.at().0 + 1, Stage::Silent);
        Box::pin(Sign)
    }

    fn now(&self) -> Instant {
        let now = Instant::now();
        self.looked.store((now - self.opened).as_nanos() as u64, Ordering::Relaxed);
        now
    }
}

impl Future for Sign {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Sign {}

const STAGES: u64 = 3;
const _: () = assert!(size_of::<Sign>() == 0, "boxing one is free");

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    async fn is_over(watch: &HeadWatch, silence: Duration, patience: Duration) -> bool {
        tokio::time::timeout(10 * SHORT, watch.overdue(silence, patience)).await.is_ok()
    }

    #[tokio::test]
    async fn silence_and_heads_have_their_own_bounds_and_serving_has_none() {
        let watch = HeadWatch::default();
        assert!(is_over(&watch, SHORT, LONG).await);
        assert!(!is_over(&watch, LONG, SHORT).await);
        watch.read();
        assert!(!is_over(&watch, SHORT, LONG).await);
        assert!(is_over(&watch, LONG, SHORT).await);
        watch.whole();
        watch.read();
        assert!(!is_over(&watch, SHORT, SHORT).await);
        drop(watch.sleep_until(watch.now()));
        assert!(is_over(&watch, SHORT, LONG).await, "the next head is waited for");
    }

    #[tokio::test]
    async fn no_byte_but_the_first_gives_a_head_more_time() {
        let watch = HeadWatch::default();
        let trickle = async {
            loop {
                // tidy: sleep because bytes come one after another
                tokio::time::sleep(SHORT / 4).await;
                watch.read();
            }
        };
        let bounded = async {
            tokio::select! {
                () = watch.overdue(LONG, 4 * SHORT) => {}
                () = trickle => {}
            }
        };
        tokio::time::timeout(100 * SHORT, bounded).await.expect("it is overdue");
    }
}
