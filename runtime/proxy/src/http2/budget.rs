//! A budget for frames that cost work and bring none.
//!
//! hyper and h2 bound streams and resets, but answer PING, SETTINGS, PRIORITY, WINDOW_UPDATE and
//! empty frames as fast as they come. Here each of those costs one; what a connection is for (opening
//! a stream, sending and being sent content) earns some back, and so does time.

use std::time::{Duration, Instant};

use super::frames::FrameHead;

#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    refilled: Instant,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { left: MOST, refilled: Instant::now() }
    }

    /// Accounts for a frame from the client; false when the client sent too many.
    #[must_use]
    pub(super) fn received(&mut self, frame: FrameHead) -> bool {
        match frame.kind {
            HEADERS => self.earn(PER_STREAM),
            DATA if frame.length > 0 => self.earn(1),
            // The usual end of a body.
            DATA if frame.flags & END_STREAM != 0 => {}
            CONTINUATION if frame.length > 0 => {}
            _ => return self.spend(),
        }
        true
    }

    /// Accounts for a frame to the client: it may answer each with updates of two windows and a PING.
    pub(super) fn sent(&mut self, frame: FrameHead) {
        if matches!(frame.kind, HEADERS | DATA) && frame.length > 0 {
            self.earn(PER_SENT);
        }
    }

    fn earn(&mut self, amount: u32) {
        self.left = (self.left + amount).min(MOST);
    }

    fn spend(&mut self) -> bool {
        if self.left == 0 {
            // The clock is only looked at here.
            let elapsed = self.refilled.elapsed();
            self.refilled = Instant::now();
            self.left = refill(elapsed);
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

fn refill(elapsed: Duration) -> u32 {
    (elapsed.as_millis() * PER_SECOND / 1000).min(MOST.into()) as u32
}

/// Such frames in a row.
pub(super) const MOST: u32 = 2000;
/// Such frames for as long as they come slowly.
const PER_SECOND: u128 = 100;
const PER_STREAM: u32 = 16;
const PER_SENT: u32 = 4;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;

#[cfg(test)]
mod tests {
    use super::*;

    const PING: FrameHead = FrameHead { length: 8, kind: 6, flags: 0 };
    const WINDOW_UPDATE: FrameHead = FrameHead { length: 4, kind: 8, flags: 0 };
    const EMPTY: FrameHead = FrameHead { length: 0, kind: DATA, flags: 0 };
    const SOME: FrameHead = FrameHead { length: 1000, kind: DATA, flags: 0 };
    const OPENING: FrameHead = FrameHead { length: 50, kind: HEADERS, flags: 4 };

    fn lasts(frames: impl Iterator<Item = FrameHead>) -> usize {
        let mut budget = Budget::new();
        frames.take_while(|frame| budget.received(*frame)).count()
    }

    #[test]
    fn floods_run_out() {
        for flood in [PING, WINDOW_UPDATE, EMPTY, FrameHead { length: 0, kind: CONTINUATION, flags: 0 }] {
            let lasted = lasts(std::iter::repeat_n(flood, 10_000));
            assert!((2000..3000).contains(&lasted), "{lasted}");
        }
    }

    #[test]
    fn a_long_download_is_no_flood() {
        let mut budget = Budget::new();
        for _ in 0..100_000 {
            budget.sent(SOME);
            assert!(budget.received(WINDOW_UPDATE) && budget.received(WINDOW_UPDATE) && budget.received(PING));
        }
    }

    #[test]
    fn many_small_calls_are_no_flood() {
        let reset = FrameHead { length: 4, kind: 3, flags: 0 };
        let call = [OPENING, SOME, FrameHead { flags: END_STREAM, ..EMPTY }, PING, WINDOW_UPDATE, WINDOW_UPDATE, reset];
        assert_eq!(lasts(call.into_iter().cycle().take(100_000)), 100_000);
    }

    #[test]
    fn time_earns_a_little() {
        assert_eq!(refill(Duration::from_secs(10)), 1000);
        assert_eq!(refill(Duration::from_secs(3600)), MOST);
        assert_eq!(refill(Duration::from_millis(9)), 0);
    }
}
