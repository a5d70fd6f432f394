//! The API keys of a configuration file, as a node keeps them: hashed.

use std::sync::Arc;

use tollgate_keys::{Credential, Credentials, Expiry, Pepper};
use tollgate_model::ConfigSet;

/// Doubled keys were refused with the file.
pub fn credentials_of(set: &ConfigSet, pepper: &Pepper) -> Credentials {
    let keys = set.consumers.values().flat_map(|consumer| consumer.keys.iter().map(move |key| (consumer, key)));
    Credentials::of(keys.map(|(consumer, key)| Credential {
        hash: pepper.hash_key(key.key.expose().as_bytes()),
        consumer: consumer.name.clone(),
        id: key.id.clone(),
        expires: Expiry::NEVER,
    }))
}

/// Whether two sets have the same consumers, so that their keys are the same.
pub fn same_consumers(old: &ConfigSet, new: &ConfigSet) -> bool {
    old.consumers.len() == new.consumers.len()
        && old.consumers.values().zip(new.consumers.values()).all(|(old, new)| Arc::ptr_eq(old, new))
}
