//! Credentials: made, hashed, and found again. No IO.
//!
//! Invariants
//! - A plain key is never kept: what is kept is its keyed hash ([`KeyHash`]), worthless without the
//!   [`Pepper`].
//! - What is sealed at one place opens at no other.
//! - Nothing here prints a secret: their `Debug` hides them and they have no `Display`.

mod sealer;
mod root;
mod keyring;
mod generate;
mod hash;
mod credentials;

pub use credentials::{Credential, CredentialEdit, Credentials, Found};
pub use generate::{generate_key, generate_token};
pub use hash::{KeyHash, Pepper};
pub use keyring::{InvalidKeyring, Keyring, OpenError, Renew};
pub use root::Root;
pub use sealer::{SealedError, Sealer};
