//! How many instances there may be: no module can take all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of the whole process.
#[derive(Debug)]
pub(crate) struct Instances {
    taken: AtomicU32,
    most: u32,
    most_of_a_module: u32,
}

/// What one module has of them, in all its generations and on all workers. The first instance of each
/// worker is not counted: it is there whatever others do.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Instances>,
    taken: AtomicU32,
}

impl Instances {
    /// Of `most`, some are kept for first instances and for trials of settings.
    pub(crate) fn new(most: u32) -> Arc<Instances> {
        let most = most - most / KEPT;
        Arc::new(Instances { taken: AtomicU32::new(0), most, most_of_a_module: most.div_ceil(2) })
    }

    pub(crate) fn share(self: &Arc<Instances>) -> Arc<Share> {
        Arc::new(Share { all: Arc::clone(self), taken: AtomicU32::new(0) })
    }
}

impl Share {
    /// Counts one more; false when the module, or all together, have too many.
    pub(crate) fn take(&self) -> bool {
        if !add_below(&self.taken, self.all.most_of_a_module) {
            return false;
        }
        let taken = add_below(&self.all.taken, self.all.most);
        if !taken {
            self.taken.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    pub(crate) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
        self.all.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add_below(counter: &AtomicU32, most: u32) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < most).then_some(taken + 1)).is_ok()
}

/// One in so many instances.
const KEPT: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_half_at_most_and_all_have_no_more_than_there_are() {
        let all = Instances::new(32);
        let [greedy, other, third] = [all.share(), all.share(), all.share()];
        let take = |share: &Share| (0..100).filter(|_| share.take()).count();
        assert_eq!([take(&greedy), take(&other), take(&third)], [15, 15, 0]);
        greedy.give_back();
        assert!(third.take() && !third.take() && !greedy.take());
    }
}
