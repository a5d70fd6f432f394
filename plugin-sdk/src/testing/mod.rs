//! A gateway in memory, to test a plugin natively: the same API works on it as in the real one.
//!
//! ```
//! # use schemars::JsonSchema;
//! # use serde::Deserialize;
//! # use tollgate_plugin_sdk::prelude::*;
//! # struct Gate;
//! # #[derive(Deserialize, JsonSchema)]
//! # struct Settings {}
//! # impl Plugin for Gate {
//! #     type Settings = Settings;
//! #     const HOOKS: Hooks = Hooks::REQUEST;
//! #     fn configure(_: Settings) -> Result<Self, Problems> { Ok(Self) }
//! #     fn on_request(&self, request: &mut Request) -> Action {
//! #         match request.header("x-pass") {
//! #             Some(_) => Action::Continue,
//! #             None => request.refuse(403, "closed"),
//! #         }
//! #     }
//! # }
//! use tollgate_plugin_sdk::testing::{Gateway, TestRequest};
//!
//! let gateway = Gateway::new();
//! let gate = gateway.configure::<Gate>(serde_json::json!({})).unwrap();
//!
//! let refused = gateway.send(&gate, TestRequest::get("/"));
//! assert_eq!(refused.response.status, 403);
//! assert!(refused.upstream.is_none());
//!
//! let passed = gateway.send(&gate, TestRequest::get("/").with_header("x-pass", "1"));
//! assert!(passed.upstream.is_some());
//! ```
//!
//! It keeps the promises of the ABI (what traps there panics here; values end with their hook) and
//! grants every capability. Limits are counted exactly, in one process; the clock stands still
//! until [`Gateway::advance`]; randomness is the same in every run.

mod counter;
mod gateway;
mod message;
mod record;
mod state;

pub(crate) mod host;

pub use crate::log::Level;
pub use gateway::{Configured, Exchange, Gateway, LogLine};
pub use message::{TestRequest, TestResponse};
pub use record::TestRecord;

#[cfg(test)]
mod tests;
