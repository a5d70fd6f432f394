//! From a raw tree to values, collecting every problem.
//!
//! A tree is a [`serde_json::Value`], whatever it was written in (TOML file, JSON of the admin API).
//! A type that can be read from one implements [`Decode`]; a table is read with [`Fields`]:
//!
//! ```
//! use tollgate_model::decode::{Decode, Fields, Place};
//! use tollgate_model::{Name, Problems};
//!
//! struct Listener {
//!     name: Name,
//!     backlog: u32,
//! }
//!
//! impl Decode for Listener {
//!     fn decode(value: &serde_json::Value, place: &Place<'_>, problems: &mut Problems) -> Option<Listener> {
//!         let mut fields = Fields::open(value, place, problems);
//!         let name = fields.required("name");
//!         let backlog = fields.optional("backlog", 1024);
//!         fields.finish()?;
//!         Some(Listener { name: name?, backlog })
//!     }
//! }
//!
//! let tree = serde_json::json!({ "nmae": "public" });
//! let problems = tollgate_model::decode::whole::<Listener>(&tree).err().expect("a typo");
//! assert_eq!(
//!     problems.to_string(),
//!     "`name` is missing; nmae: unknown key `nmae` (did you mean `name`?)"
//! );
//! ```
//!
//! Messages name keys and names, never other values: a value may have come from the environment.

mod fields;
mod leaf;
mod place;
mod suggest;

mod address;
mod certificate;
mod chain_entry;
mod condition;
mod consumer;
mod health;
mod pattern;
mod plugin;
mod route;
mod retries;
mod service;
mod upstream;
mod upstream_tls;

pub use address::{Authority, parse_authority};
pub use fields::{Fields, kind};
pub use leaf::{HeaderText, PositiveTime, at_least_one, one_of, text};
pub use place::{OwnedStep, Place, steps};
pub use suggest::closest;

use serde_json::Value;

use crate::Problems;

/// A value that can be read from a raw tree.
pub trait Decode: Sized {
    /// How one is written in a list, for hints.
    const ITEM: &'static str = "\"…\"";

    /// `None` means refused; the reasons are then in `problems`.
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Self>;
}

/// Reads a whole tree.
pub fn whole<T: Decode>(tree: &Value) -> Result<T, Problems> {
    let mut problems = Problems::default();
    let decoded = T::decode(tree, &Place::Root, &mut problems);
    match decoded {
        Some(value) => problems.into_result(value),
        None => Err(problems),
    }
}

/// Whether what stands under this key is a secret as a rule, so that it is never shown, not even as
/// a part of the file it was read from. Typos of such keys count too, so rather too many do.
pub fn is_secret_key(key: &str) -> bool {
    const PARTS: [&str; 9] = ["key", "auth", "secret", "token", "pass", "pasw", "pwd", "credential", "private"];
    let key = key.to_ascii_lowercase();
    PARTS.iter().any(|part| key.contains(part))
}
