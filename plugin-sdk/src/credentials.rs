//! Consumers and their credentials, looked up in the node's own copy. Needs
//! [`Capability::Credentials`](crate::Capability); without the operator's grant nothing is found.

use std::num::NonZeroU32;

use crate::host::credentials as host;
use crate::{Field, Value};

/// A credential found for the current request.
#[derive(Clone, Copy, Debug)]
pub struct Credential(NonZeroU32);

impl Credential {
    /// Makes the credential's consumer the request's. False when it has none any more.
    #[must_use = "a request whose consumer was not set is not authenticated"]
    pub fn authenticate(self) -> bool {
        host::authenticate(self.0.get())
    }
}

/// The API key's credential. The gateway compares keyed hashes; the plain key is not stored.
pub fn find_key(key: Value) -> Option<Credential> {
    NonZeroU32::new(host::find_key(key.raw())).map(Credential)
}

/// A consumer by name, to stand for requests without a credential.
pub fn find_anonymous<'v>(consumer: impl Into<Field<'v>>) -> Option<Credential> {
    NonZeroU32::new(host::find_anonymous(consumer.into().hold().raw())).map(Credential)
}

/// A consumer was set, by this plugin or an earlier one.
pub fn authenticated() -> bool {
    host::authenticated()
}
