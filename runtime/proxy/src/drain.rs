//! Ends a worker without losing what it accepted.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;
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
