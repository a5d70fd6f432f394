//! Policies for the Tollgate gateway, written in plain Rust.
//!
//! # A plugin in five minutes
//!
//! A plugin is a type that implements [`Plugin`]: it says which hooks it wants, turns its settings
//! into itself, and is called for each request.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use tollgate_plugin_sdk::prelude::*;
//!
//! struct Hello {
//!     greeting: String,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     greeting: String,
//! }
//!
//! impl Plugin for Hello {
//!     type Settings = Settings;
//!     const HOOKS: Hooks = Hooks::RESPONSE;
//!
//!     fn configure(settings: Settings) -> Result<Self, Problems> {
//!         Ok(Self { greeting: settings.greeting })
//!     }
//!
//!     fn on_response(&self, response: &mut Response) {
//!         response.headers().set("x-hello", &self.greeting);
//!     }
//! }
//!
//! tollgate_plugin_sdk::export!(Hello);
//! # fn main() {
//! // Tests are native: no gateway, no WebAssembly.
//! use tollgate_plugin_sdk::testing::{Gateway, TestRequest};
//!
//! let gateway = Gateway::new();
//! let hello = gateway.configure::<Hello>(serde_json::json!({ "greeting": "hi" })).unwrap();
//! let exchange = gateway.send(&hello, TestRequest::get("/"));
//! assert_eq!(exchange.response.header("x-hello"), Some("hi"));
//! # }
//! ```
//!
//! `Cargo.toml` needs `crate-type = ["cdylib", "rlib"]` and the crates `serde` and `schemars`,
//! for native tests `serde_json` too.
//! Then build and drop the module into the gateway's plugins folder; saving a newer one swaps it
//! under load:
//!
//! ```text
//! cargo build --release --target wasm32-unknown-unknown
//! cp target/wasm32-unknown-unknown/release/hello.wasm plugins/hello.wasm
//! ```
//!
//! # Two layers
//!
//! Every call into the gateway takes plain strings, and that is a fine way to write a plugin. What
//! runs on each request can be made cheaper, call by call:
//!
//! - [`HeaderName`] and [`ContextKey`] are names resolved once, in `configure`;
//! - a [`Value`] is bytes that stay in the gateway: look it up, compare it, count by it or put it
//!   into a header without ever copying it out;
//! - numbers go into headers as numbers.
//!
//! # What a plugin must not expect
//!
//! One instance serves many requests and many configured uses, and is replaced at any time: what
//! belongs to a request is kept in [`context`], what lasts in [`kv`]. A panic costs the request it
//! happened in, and its message goes to the gateway's log.

pub mod clock;
pub mod context;
pub mod credentials;
pub mod kv;
pub mod limiter;
pub mod log;
pub mod query;
pub mod random;
pub mod settings;

mod body;
mod edit;
mod headers;
mod names;
mod plugin;
mod problem;
mod record;
mod request;
mod response;
mod sink;
mod value;

#[doc(hidden)]
pub mod guest;
mod host;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use body::{Body, TooLarge};
pub use edit::Edit;
pub use headers::Headers;
pub use names::{ContextKey, HeaderName, InvalidName, Key, Name};
pub use plugin::{Action, Capability, Hooks, Plugin, Prepared, Subscription};
pub use problem::{Problem, Problems};
pub use record::{LogBatch, LogRecord};
pub use request::Request;
pub use response::{Origin, Response};
pub use sink::{Dropped, Sink};
pub use value::{Field, Value};

/// What nearly every plugin uses.
pub mod prelude {
    pub use crate::{
        Action, Body, Capability, ContextKey, Edit, HeaderName, Hooks, LogBatch, LogRecord, Plugin, Problem, Problems,
        Request, Response, Sink, Subscription, Value,
    };
}
