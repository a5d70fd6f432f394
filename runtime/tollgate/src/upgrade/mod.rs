//! Replaces the running process by another binary, while it serves.
//!
//! ```text
//! tollgate upgrade        running node                          successor
//!   │ request, at the door  │
//!   ├──────────────────────▶│ starts it: the listening sockets,
//!   │                       │ a channel as standard input,       │
//!   │                       │ a file: what can't be served now ─▶│ loads, builds, serves
//!   │                       │◀─────────────── ready, or why not ─┤
//!   │                       │ tells the service manager          │
//!   │                       │ yours ────────────────────────────▶│ moves in at the door
//!   │                       │◀──────────────────────────── taken ┤
//!   │◀───── who serves now ─┤ drains, ends                       │
//! ```
//!
//! Invariants
//! - Until `yours` the running node serves as if nothing had happened, and goes on to if anything
//!   fails: a successor that is not wanted is ended.
//! - A successor that could not serve what the running node does says so and ends, before it accepts anything: a
//!   start may leave routes out that a running node goes on serving.
//! - From `ready` on the successor accepts from every socket that both have, so that none of them is
//!   ever without somebody who accepts.
//! - A successor whose predecessor goes away before `yours` ends: there are never two nodes.

mod door;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod predecessor;
mod shortfall;
mod successor;
mod upgrades;

pub use door::{Answer, Door, Request, ask};
pub use predecessor::Predecessor;
pub use shortfall::suffices;
pub use successor::Launch;
pub use upgrades::Upgrades;

/// Words on the channel between the two, a line each.
const READY: &str = "ready\n";
const YOURS: &str = "yours\n";
const TAKEN: &str = "taken\n";
