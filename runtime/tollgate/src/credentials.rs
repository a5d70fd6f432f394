//! The API keys of a configuration file, as a node keeps them: hashed.

use std::sync::Arc;

use tollgate_keys::{Credential, Credentials, Pepper};
use tollgate_model::ConfigSet;

/// Doubled keys were refused with the file. `before`: the keys of another set, the same ones if no consumer
/// changed.
pub fn credentials_of(
    set: &ConfigSet,
    pepper: &Pepper,
    before: Option<(&ConfigSet, &Arc<Credentials>)>,
) -> Arc<Credentials> {
    if let Some((_, credentials)) = before.filter(|(before, _)| same_consumers(before, set)) {
        return Arc::clone(credentials);
    }
    let keys = set.consumers.values().flat_map(|consumer| consumer.keys.iter().map(move |key| (consumer, key)));
    Arc::new(Credentials::of(keys.map(|(consumer, key)| Credential {
        hash: pepper.hash_key(key.key.expose().as_bytes()),
        consumer: consumer.name.shared(),
        id: key.id.shared(),
        expires: 0,
    })))
}

fn same_consumers(old: &ConfigSet, new: &ConfigSet) -> bool {
    old.consumers.len() == new.consumers.len()
        && old.consumers.values().zip(new.consumers.values()).all(|(old, new)| Arc::ptr_eq(old, new))
}
