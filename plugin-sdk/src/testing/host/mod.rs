//! The fake's side of each interface, with the names and signatures of the generated imports.

pub mod body;
pub mod context;
pub mod credentials;
pub mod kv;
pub mod limiter;
pub mod names;
pub mod output;
pub mod request;
pub mod response;
pub mod time;
pub mod types;
pub mod values;

pub use output::{log, sink};
pub use time::{clock, random};
