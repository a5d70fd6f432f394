use std::ops::RangeInclusive;
use std::time::Duration;

use super::RetryOn;

/// When a target is left out for a while because requests to it fail. Each node judges by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row after which a target is ejected, 1 at least. Default 5.
    pub failures: u32,
    /// Connections in a row that could not be made, 1 at least. Default 2.
    pub connect_failures: u32,
    /// What a failure is. Default: connection failures, timeouts, resets.
    pub on: Vec<RetryOn>,
    /// For how long, the first time; doubled each time that the target fails again. Default 10 s.
    pub time: Duration,
    /// The longest time. Default 5 min.
    pub longest: Duration,
    /// Per cent of the upstream's targets that may be out at once, rounded up; never all of them. 0: none
    /// ever is. Default 50.
    pub most: u8,
}

impl Default for Ejection {
    fn default() -> Self {
        Ejection {
            failures: 5,
            connect_failures: 2,
            on: vec![RetryOn::ConnectFailure, RetryOn::Timeout, RetryOn::Reset],
            time: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            most: 50,
        }
    }
}

impl Ejection {
    /// How many of so many targets may be out at once.
    pub fn room(&self, targets: usize) -> usize {
        let share = (targets * usize::from(self.most)).div_ceil(100);
        share.min(targets.saturating_sub(1))
    }
}

/// How a node asks the targets of an upstream whether they are well, whatever requests there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for, by GET; starts with `/`.
    pub path: String,
    /// Between two checks of a target. Default 10 s.
    pub interval: Duration,
    /// For a whole check. Default 2 s.
    pub timeout: Duration,
    /// Of a target that is well. Empty: [`HealthCheck::WELL`].
    pub statuses: Vec<u16>,
    /// Good checks in a row after which a target is well again, 1 at least. Default 2.
    pub healthy: u32,
    /// Bad checks in a row after which a target gets no requests, 1 at least. Default 3.
    pub unhealthy: u32,
}

impl HealthCheck {
    /// Success and redirects.
    pub const WELL: RangeInclusive<u16> = 200..=399;

    pub fn accepts(&self, status: u16) -> bool {
        match self.statuses.is_empty() {
            true => Self::WELL.contains(&status),
            false => self.statuses.contains(&status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_targets_always_stay() {
        let room = |most, targets| Ejection { most, ..Ejection::default() }.room(targets);
        assert_eq!([1, 2, 3, 4, 5].map(|targets| room(50, targets)), [0, 1, 2, 2, 3]);
        assert_eq!([1, 2, 10].map(|targets| room(100, targets)), [0, 1, 9]);
        assert_eq!((room(0, 10), room(1, 10), room(50, 0)), (0, 1, 0));
    }
}
