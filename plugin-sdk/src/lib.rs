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
//! # The project around it
//!
//! A library of its own, made by `cargo new --lib hello`, with Rust 1.85 or newer. The SDK is on no registry: name the
//! folder `plugin-sdk` of a clone of Tollgate, of the version that your gateway has. In `Cargo.toml`, in place of
//! `[dependencies]`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]   # the module, and what native tests link
//!
//! [dependencies]
//! tollgate-plugin-sdk = { path = "../tollgate/plugin-sdk" }
//! serde = { version = "1", features = ["derive"] }
//! schemars = "1.2"
//!
//! [dev-dependencies]                # for native tests
//! serde_json = "1"
//!
//! [profile.release]                 # optional: smaller and faster; as the official plugins are built
//! opt-level = 3
//! lto = true
//! codegen-units = 1
//! panic = "abort"
//! strip = "debuginfo"               # and no more: the component's type must stay
//! ```
//!
//! The code above goes to `src/lib.rs`, what stands below `// Tests are native` into a `#[test]`.
//!
//! # Building it
//!
//! Once for each Rust toolchain, the target; then, each time, the module:
//!
//! ```text
//! rustup target add wasm32-unknown-unknown
//!
//! RUSTFLAGS=-Clink-arg=-zstack-size=32768 cargo build --release --target wasm32-unknown-unknown
//! ```
//!
//! The flag makes the stack small (32 KiB): an instance starts with a few pages of memory instead of seventeen, which
//! matters most with `isolation = "request"`. Without it the module works all the same; one that needs more stack, for
//! deep recursion, takes a larger number. The SDK's README has the command for a Rust whose target rustup can't bring.
//!
//! The module is `target/wasm32-unknown-unknown/release/hello.wasm`, a core module with the component's type in a
//! custom section: no tool has to be run over it, and none that strips all custom sections may be. WASI targets
//! (`wasm32-wasip1`, `wasm32-wasip2`) make modules that the gateway refuses.
//!
//! Members of Tollgate's own workspace are built by `cargo xtask build-plugins <name>`, which does all of this.
//!
//! # Using it
//!
//! The folder is `[plugins] folder` of the gateway's `tollgate.toml`; the file's name without `.wasm` is the module's:
//!
//! ```text
//! cp target/wasm32-unknown-unknown/release/hello.wasm /etc/tollgate/plugins/hello.wasm
//! ```
//!
//! In `gateway.toml`, `chain` at the top (or in a service, a route or a consumer), the plugin at the end:
//!
//! ```toml
//! chain = ["hello"]
//!
//! [[plugins]]
//! name = "hello"
//! config = { greeting = "hi" }
//! ```
//!
//! Saving a newer build, or other settings, swaps it under load. `GET /modules` of the admin API shows which build
//! serves, and why a newer one does not.
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
