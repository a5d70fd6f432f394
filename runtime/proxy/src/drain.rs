//! Ends a worker without losing what it accepted.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tokio::sync::Notify;

/// How far a worker is on its way to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// Nothing new is accepted; what there is, is finished.
    Draining,
    /// The time for that is over.
    Closing,
}

/// The stage that a worker has reached, and who waits for a later one. Every connection asks each time
/// it is polled: that is a comparison.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    now: Cell<Stage>,
    waiting: RefCell<Slab<Waker>>,
}

/// Done once the worker has reached a stage.
#[derive(Debug)]
pub(crate) struct Reached<'s> {
    stages: &'s Stages,
    wanted: Stage,
    place: Option<usize>,
}

impl Stages {
    pub(crate) fn now(&self) -> Stage {
        self.now.get()
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.now.set(stage);
        // Woken where they are: who wanted a later stage looks and waits on.
        self.waiting.borrow().iter().for_each(|(_, waker)| waker.wake_by_ref());
    }

    pub(crate) fn reached(&self, wanted: Stage) -> Reached<'_> {
        Reached { stages: self, wanted, place: None }
    }
}

impl Future for Reached<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.stages.now.get() >= this.wanted {
            return Poll::Ready(());
        }
        let mut waiting = this.stages.waiting.borrow_mut();
        match this.place {
            Some(place) => waiting[place].clone_from(context.waker()),
            None => this.place = Some(waiting.insert(context.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Reached<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.stages.waiting.borrow_mut().remove(place);
        }
    }
}
use tokio::time::Instant;

/// Counts what is open, and tells when nothing is.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenCount(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Cell<usize>,
    emptied_at: Cell<Option<Instant>>,
    emptied: Notify,
}

/// Something open, until dropped.
pub(crate) struct Open(Rc<Inner>);

impl OpenCount {
    pub(crate) fn open(&self) -> Open {
        self.0.open.set(self.0.open.get() + 1);
        Open(Rc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.open.get()
    }

    /// When the last one closed; `None` when nothing ever did.
    pub(crate) fn emptied_at(&self) -> Option<Instant> {
        self.0.emptied_at.get()
    }

    pub(crate) async fn emptied(&self) {
        while self.0.open.get() > 0 {
            self.0.emptied.notified().await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        if self.0.open.get() == 0 {
            self.0.emptied_at.set(Some(Instant::now()));
            self.0.emptied.notify_waiters();
        }
    }
}
