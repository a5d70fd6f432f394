//! Consumers and credentials of a snapshot.

mod identity;
mod people;
mod recent;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tollgate_keys::{Credentials, Pepper};
use tollgate_model::entity::Consumer;
use tollgate_model::{ConfigSet, Name};
use tollgate_plugin_host::{CompiledChain, Degraded, Directory, Identity, Prepared};

use crate::snapshot::{Change, changes};
pub(crate) use people::People;

/// What a request may need of all consumers.
pub struct ConsumerDirectory {
    people: Arc<People>,
    chains: Arc<Chains>,
}

/// Only of consumers with a chain.
type Chains = HashMap<Arc<str>, Result<Arc<CompiledChain>, Degraded>, RandomState>;

/// What a directory is made of.
pub(crate) struct Census<'a> {
    pub(crate) set: &'a ConfigSet,
    pub(crate) credentials: &'a Arc<Credentials>,
    pub(crate) prepared: &'a Prepared,
}

impl ConsumerDirectory {
    /// Of nobody.
    pub(crate) fn empty(pepper: Arc<Pepper>) -> ConsumerDirectory {
        ConsumerDirectory { people: Arc::new(People::nobody(pepper)), chains: Arc::default() }
    }

    /// The one after this one, which was made of `last`. `is_changed`: plugins that are not what they were.
    pub(crate) fn next(
        self: &Arc<Self>,
        last: &ConfigSet,
        census: &Census<'_>,
        is_changed: impl Fn(&Name) -> bool,
    ) -> Arc<ConsumerDirectory> {
        let consumers = changes(&last.consumers, &census.set.consumers);
        let people = match consumers.is_empty() && self.people.know(census.credentials) {
            true => Arc::clone(&self.people),
            false => Arc::new(self.people.next(&consumers, census.credentials)),
        };
        let chains = self.next_chains(&consumers, census, is_changed);
        match Arc::ptr_eq(&people, &self.people) && Arc::ptr_eq(&chains, &self.chains) {
            true => Arc::clone(self),
            false => Arc::new(ConsumerDirectory { people, chains }),
        }
    }

    pub(crate) fn chain(&self, identity: &Identity) -> Option<&Result<Arc<CompiledChain>, Degraded>> {
        self.chains.get(&identity.consumer_name)
    }

    pub(crate) fn chains(&self) -> impl Iterator<Item = (&Arc<str>, &Result<Arc<CompiledChain>, Degraded>)> {
        self.chains.iter()
    }

    /// What may take long to drop.
    pub(crate) fn people(&self) -> &Arc<People> {
        &self.people
    }

    fn next_chains(
        &self,
        consumers: &[Change<'_, Arc<Consumer>>],
        census: &Census<'_>,
        is_changed: impl Fn(&Name) -> bool,
    ) -> Arc<Chains> {
        let known = self.chains.keys().filter_map(|name| census.set.consumers.get(&**name));
        let affected = known.filter(|consumer| consumer.chain.iter().any(|entry| is_changed(&entry.plugin)));
        let with_chain = |consumer: &&Arc<Consumer>| !consumer.chain.is_empty();
        let remade: Vec<_> =
            affected.chain(consumers.iter().filter_map(|change| change.new)).filter(with_chain).collect();
        let gone = |change: &&Change<'_, Arc<Consumer>>| {
            change.old.is_some_and(|old| with_chain(&old)) && !change.new.is_some_and(|new| with_chain(&new))
        };
        let gone: Vec<&Name> = consumers.iter().filter(gone).map(|change| change.name).collect();
        if remade.is_empty() && gone.is_empty() {
            return Arc::clone(&self.chains);
        }
        let mut chains = Chains::clone(&self.chains);
        gone.into_iter().for_each(|name| drop(chains.remove(name.as_str())));
        for consumer in remade {
            let name = consumer.name.shared();
            // The same chain keeps its identity: requests on their way hold it weakly.
            let compiled = CompiledChain::compile(&census.set.consumer_chain(consumer), census.prepared);
            let chain = match (compiled, self.chains.get(&name)) {
                (Ok(new), Some(Ok(old))) if *new == **old => Ok(Arc::clone(old)),
                (chain, _) => chain,
            };
            chains.insert(name, chain);
        }
        Arc::new(chains)
    }
}

impl Directory for ConsumerDirectory {
    fn find_key(&self, key: &[u8]) -> Option<Arc<Identity>> {
        self.people.find_key(key)
    }

    fn find_anonymous(&self, consumer: &str) -> Option<Arc<Identity>> {
        self.people.find_anonymous(consumer)
    }
}
