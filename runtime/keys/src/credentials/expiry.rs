/// When a key ends: a second since 1970, up to the year 2106, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(u32);

impl Expiry {
    pub const NEVER: Expiry = Expiry(0);

    /// Of a time in milliseconds since 1970, rounded down: a key ends up to a second early, never late.
    pub fn at_millis(millis: u64) -> Expiry {
        // What is long over is not what never ends.
        Expiry(u32::try_from(millis / 1000).unwrap_or(u32::MAX).max(1))
    }

    /// `None`: never.
    pub fn seconds(self) -> Option<u32> {
        (self.0 != 0).then_some(self.0)
    }

    /// Whether a key that ends then has ended. The clock is in seconds since 1970.
    pub fn is_over(self, now_seconds: impl FnOnce() -> u32) -> bool {
        self.0 != 0 && self.0 <= now_seconds()
    }
}
