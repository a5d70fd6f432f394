//! Ends a worker without losing what it accepted.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Counts what is open, and tells when nothing is.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenCount(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Cell<usize>,
    total: Cell<u64>,
    emptied: Notify,
}

/// Something open, until dropped.
pub(crate) struct Open(Rc<Inner>);

impl OpenCount {
    pub(crate) fn open(&self) -> Open {
        self.0.open.set(self.0.open.get() + 1);
        self.0.total.set(self.0.total.get() + 1);
        Open(Rc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.open.get()
    }

    /// How many were opened so far.
    pub(crate) fn total(&self) -> u64 {
        self.0.total.get()
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
            self.0.emptied.notify_waiters();
        }
    }
}
