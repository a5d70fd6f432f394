//! Consumers and credentials of a snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::{HeaderName, HeaderValue};
use tollgate_keys::{KeyIndex, Pepper};
use tollgate_model::ConfigSet;
use tollgate_model::entity::Consumer;
use tollgate_plugin_host::{CompiledChain, Degraded, Directory, Identity, Prepared};

/// What a request may need of all consumers.
pub struct ConsumerDirectory {
    people: Arc<People>,
    /// Only consumers with a chain.
    chains: HashMap<Arc<str>, Result<Arc<CompiledChain>, Degraded>, RandomState>,
}

/// Consumers and keys: the same from snapshot to snapshot as long as no consumer changes.
struct People {
    pepper: Arc<Pepper>,
    keys: KeyIndex<Arc<Identity>>,
    by_name: HashMap<Arc<str>, Arc<Identity>, RandomState>,
}

impl ConsumerDirectory {
    /// `previous`: the directory before and the set it was made of.
    pub(crate) fn build(
        set: &ConfigSet,
        prepared: &Prepared,
        pepper: &Arc<Pepper>,
        previous: Option<(&ConsumerDirectory, &ConfigSet)>,
    ) -> ConsumerDirectory {
        let people = match previous {
            Some((directory, old)) if same_consumers(old, set) => Arc::clone(&directory.people),
            _ => Arc::new(People::build(set, pepper)),
        };
        let with_chain = set.consumers.values().filter(|consumer| !consumer.chain.is_empty());
        let chains = with_chain.map(|consumer| {
            let name = consumer.name.shared();
            let old = previous.and_then(|(directory, _)| directory.chains.get(&name));
            // The same chain keeps its identity: requests on their way hold it weakly.
            let chain = match (CompiledChain::compile(&set.consumer_chain(consumer), prepared), old) {
                (Ok(new), Some(Ok(old))) if *new == **old => Ok(Arc::clone(old)),
                (chain, _) => chain,
            };
            (name, chain)
        });
        ConsumerDirectory { people, chains: chains.collect() }
    }

    pub(crate) fn chain(&self, identity: &Identity) -> Option<&Result<Arc<CompiledChain>, Degraded>> {
        self.chains.get(&identity.consumer_name)
    }

    pub(crate) fn chains(&self) -> impl Iterator<Item = (&Arc<str>, &Result<Arc<CompiledChain>, Degraded>)> {
        self.chains.iter()
    }
}

impl People {
    fn build(set: &ConfigSet, pepper: &Arc<Pepper>) -> People {
        let mut by_name = HashMap::default();
        let mut keys = Vec::new();
        for consumer in set.consumers.values() {
            by_name.insert(consumer.name.shared(), Arc::new(identity(consumer, None, true)));
            for key in &consumer.keys {
                let hash = pepper.hash_key(key.key.expose().as_bytes());
                keys.push((hash, Arc::new(identity(consumer, Some(key.id.shared()), false))));
            }
        }
        // Doubled keys were refused with the configuration.
        let keys = KeyIndex::build(keys).unwrap_or_else(|_| unreachable!("a set has no key twice"));
        People { pepper: Arc::clone(pepper), keys, by_name }
    }
}

impl Directory for ConsumerDirectory {
    fn find_key(&self, key: &[u8]) -> Option<Arc<Identity>> {
        self.people.keys.find(&self.people.pepper.hash_key(key)).cloned()
    }

    fn find_anonymous(&self, consumer: &str) -> Option<Arc<Identity>> {
        self.people.by_name.get(consumer).cloned()
    }
}

fn same_consumers(old: &ConfigSet, new: &ConfigSet) -> bool {
    old.consumers.len() == new.consumers.len()
        && old.consumers.values().zip(new.consumers.values()).all(|(old, new)| Arc::ptr_eq(old, new))
}

fn identity(consumer: &Consumer, credential_id: Option<Arc<str>>, anonymous: bool) -> Identity {
    let mut headers = Vec::new();
    let mut tell = |name: &'static str, value: &str| {
        // Texts that no field can carry (a control character in a custom id) are left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((HeaderName::from_static(name), value));
        }
    };
    tell("x-consumer-id", consumer.name.as_str());
    tell("x-consumer-username", consumer.name.as_str());
    if let Some(custom_id) = &consumer.custom_id {
        tell("x-consumer-custom-id", custom_id);
    }
    if !consumer.groups.is_empty() {
        tell("x-consumer-groups", &consumer.groups.join(", "));
    }
    if let Some(credential) = &credential_id {
        tell("x-credential-identifier", credential);
    }
    if anonymous {
        tell("x-anonymous-consumer", "true");
    }
    Identity {
        consumer_id: consumer.name.shared(),
        consumer_name: consumer.name.shared(),
        custom_id: consumer.custom_id.as_deref().map(Arc::from),
        credential_id,
        anonymous,
        headers,
    }
}
