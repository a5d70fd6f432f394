//! What went wrong in a module's hooks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::LogWindow;
use crate::error::HookErrorKind;

/// Hooks of one module that failed, in all its generations and on all workers.
#[derive(Default)]
pub(crate) struct Faults {
    counts: [AtomicU64; HookErrorKind::ALL.len()],
    window: LogWindow,
    unsaid: AtomicU64,
    last: Mutex<Option<(String, SystemTime)>>,
}

impl Faults {
    /// Counts one. When the log should tell of it: how many there were since the last that it was told of.
    pub(crate) fn count(&self, kind: HookErrorKind, second: u64, what: impl FnOnce() -> String) -> Option<u64> {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        if !self.window.admit(second, LINES) {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((what(), SystemTime::now()));
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }

    /// Since the start, by kind.
    pub(crate) fn counts(&self) -> Vec<(HookErrorKind, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        HookErrorKind::ALL.into_iter().zip(counts).collect()
    }

    /// The last that the log was told of.
    pub(crate) fn last(&self) -> Option<(String, SystemTime)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Lines in the log in a second.
const LINES: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_counted_and_the_next_line_tells_how_many_had_none() {
        let faults = Faults::default();
        let told: Vec<_> = (0..100).map(|_| faults.count(HookErrorKind::Cpu, 7, || "first".into())).collect();
        assert_eq!(told.iter().flatten().count() as u64, LINES);
        assert_eq!(faults.count(HookErrorKind::Wall, 8, || "next".into()), Some(100 - LINES));
        assert_eq!(faults.count(HookErrorKind::Wall, 8, || "after".into()), Some(0));
        let counts = faults.counts();
        assert!(counts.contains(&(HookErrorKind::Cpu, 100)) && counts.contains(&(HookErrorKind::Wall, 2)));
        assert_eq!(faults.last().map(|(what, _)| what), Some("after".into()));
    }
}
