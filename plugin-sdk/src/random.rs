//! Randomness of the operating system, fit for secrets.

use crate::host::random as host;

/// At most 64 KiB a call, otherwise it traps.
pub fn bytes(length: u32) -> Vec<u8> {
    host::bytes(length)
}

pub fn number() -> u64 {
    host::number()
}
