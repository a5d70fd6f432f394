//! Rate limits: what is counted, and how.
//!
//! A [`Rule`] says how many permits a window holds; an [`Ask`] wants some of them for a key. All
//! asks of a request are taken together or not at all ([`Local::take`]), and may be settled or
//! given back later ([`Local::commit`], [`Local::refund`]).
//!
//! Invariants
//! - No rule ever admits more than its limit: in its window (fixed), in any stretch of a window's
//!   length (sliding), beyond `burst` plus `limit` a window (token bucket).
//! - Time comes from one [`Clock`] that never goes back or jumps: setting the machine's clock opens
//!   no free window.
//! - Memory is bounded whatever keys clients send ([`Capacity`]).
//! - No IO and no async: nothing here waits but for a lock held for well under a microsecond.

mod clock;
mod counter;
mod lineage;
mod local;
mod rule;
mod shard;
mod verdict;

pub use clock::{Clock, SystemClock};
pub use local::{Capacity, Local};
pub use rule::{Algorithm, InvalidRule, Rule, RuleSpec};
pub use verdict::{Ask, Decision, Standing, Taken, Verdict};

#[cfg(test)]
mod tests;
