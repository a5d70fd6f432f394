//! What people and machines are told about a node: the admin API and the status and metrics listener.
//!
//! Invariants
//! - No secret leaves: keys are shown by their id, settings and matched values go through [`tollgate_model::secrets`].
//! - The data plane and the plugin host are known through one port, [`NodeView`], which the binary
//!   implements. This crate depends on neither.
//! - A node changes by what its database says, never by the admin API directly; a listener under attack holds a bounded number of descriptors.
//! - Apart from secrets, what the admin API shows of an entity is what the configuration file would
//!   say, so that it can be read back.
//! - Only [`refusal`] turns errors into responses.

pub mod bus;
pub mod configuration;
pub mod node;
pub mod redis;
pub mod timestamp;
pub mod writer;

mod admin;
mod status;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guard;
mod listener;
mod refusal;
mod view;

pub use admin::{AdminOptions, serve_admin};
pub use node::NodeView;
pub use status::serve_status;
pub use timestamp::Timestamp;

#[cfg(test)]
mod testing;
