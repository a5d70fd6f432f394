//! The configuration of a cluster on this node: what it is at a revision, how it is followed and written.
//!
//! Invariants
//! - The log of the database carries the truth. Hints, timers and a node's own writes only say when to look.
//! - What a node knows is one immutable [`Known`], at one revision: there is no state that is half old.
//! - What can't be used on this node fails closed by itself and holds up nothing else.
//! - A node that has its replica starts and serves without the database.

mod feed;
mod heartbeat;
mod known;
mod opening;
mod tokens;
mod vault;

pub use feed::{Feed, FeedOptions, FeedStatus};
pub use heartbeat::process_id;
pub use known::{Known, StoredModule};
pub use opening::{Beginning, OpenError, OpenOptions, open};
pub use tokens::{Role, Token, TokenBody, Tokens};
pub use vault::{Unsealed, Vault};
