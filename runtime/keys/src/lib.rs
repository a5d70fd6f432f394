//! Credentials: made, hashed, and found again. No IO.
//!
//! Invariants
//! - A plain key is never kept: what is kept is its keyed hash ([`KeyHash`]), worthless without the
//!   [`Pepper`].
//! - Nothing here prints a secret: their `Debug` hides them and they have no `Display`.

mod generate;
mod hash;
mod credentials;

pub use credentials::{Credential, CredentialEdit, Credentials, Found};
pub use generate::generate_key;
pub use hash::{KeyHash, Pepper};
