//! What a gateway is told to be: the entities, their validation, and the pure functions over them.
//!
//! Invariants
//! - No IO, no async, no clock: everything here can be called anywhere, tests included.
//! - An entity that exists is valid. The only way to one is [`decode`] (raw tree in, entity or
//!   problems out); the only way to a [`ConfigSet`] is [`ConfigSet::assemble`], which reports all
//!   problems of the whole set at once.
//! - Depends on no other crate of the workspace.

pub mod kind;
pub mod name;
pub mod units;
pub mod problem;
pub mod decode;
pub mod entity;
pub mod normal_form;
pub mod condition;
pub mod secrets;
pub mod set;
pub mod chain;
pub mod router;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use chain::{Chain, ChainLink, Level};
pub use condition::{Condition, RequestFacts};
pub use kind::Kind;
pub use name::Name;
pub use problem::{Problem, Problems};
pub use router::{RouteMatch, Router};
pub use set::ConfigSet;
