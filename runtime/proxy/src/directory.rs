//! Consumers and credentials of a snapshot.

mod identity;
mod people;
mod recent;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tollgate_keys::{Credentials, Pepper};
use tollgate_model::entity::Consumer;
use tollgate_model::{ConfigSet, Kind, Name};
use tollgate_plugin_host::{CompiledChain, Degraded, Directory, Identity, Prepared};

use crate::snapshot::{Change, changes};
pub(crate) use people::People;

/// What a request may need of all consumers.
pub struct ConsumerDirectory {
    people: Arc<People>,
    chains: Arc<Chains>,
}

/// Only of consumers with a chain, and closed ones of those that can't be used on this node.
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
        let chains = self.next_chains(last, &consumers, census, is_changed);
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
        last: &ConfigSet,
        consumers: &[Change<'_, Arc<Consumer>>],
        census: &Census<'_>,
        is_changed: impl Fn(&Name) -> bool,
    ) -> Arc<Chains> {
        let set = census.set;
        let mut affected: BTreeSet<&str> = consumers.iter().map(|change| change.name.as_str()).collect();
        let known = self.chains.keys().filter_map(|name| set.consumers.get(&**name));
        let has_other_plugin = |consumer: &&Arc<Consumer>| consumer.chain.iter().any(|entry| is_changed(&entry.plugin));
        affected.extend(known.filter(has_other_plugin).map(|consumer| consumer.name.as_str()));
        // What is broken on this node may have no change of its own.
        affected.extend(broken(set).filter(|consumer| !is_broken(last, consumer)));
        affected.extend(broken(last).filter(|consumer| !is_broken(set, consumer)));
        // One that can't be read lacks perhaps what protects from it: without entries it has a chain too, a closed one.
        let has_chain =
            |consumer: &&Arc<Consumer>| !consumer.chain.is_empty() || is_broken(set, consumer.name.as_str());
        let mut chains = Cow::Borrowed(&*self.chains);
        for name in affected {
            let old = self.chains.get(name);
            match set.consumers.get(name).filter(has_chain) {
                Some(consumer) => {
                    // The same chain keeps its identity: requests on their way hold it weakly.
                    let compiled = CompiledChain::compile(&set.consumer_chain(consumer), census.prepared);
                    let chain = match (compiled, old) {
                        (Ok(new), Some(Ok(old))) if *new == **old => Ok(Arc::clone(old)),
                        (chain, _) => chain,
                    };
                    chains.to_mut().insert(consumer.name.shared(), chain);
                }
                None if old.is_some() => drop(chains.to_mut().remove(name)),
                None => {}
            }
        }
        match chains {
            Cow::Borrowed(_) => Arc::clone(&self.chains),
            Cow::Owned(chains) => Arc::new(chains),
        }
    }
}

fn broken(set: &ConfigSet) -> impl Iterator<Item = &str> {
    set.broken.keys().filter(|(kind, _)| *kind == Kind::Consumer).map(|(_, name)| name.as_str())
}

fn is_broken(set: &ConfigSet, consumer: &str) -> bool {
    !set.broken.is_empty() && set.broken.contains_key(&(Kind::Consumer, consumer.to_owned()))
}

impl Directory for ConsumerDirectory {
    fn find_key(&self, key: &[u8]) -> Option<Arc<Identity>> {
        self.people.find_key(key)
    }

    fn find_anonymous(&self, consumer: &str) -> Option<Arc<Identity>> {
        self.people.find_anonymous(consumer)
    }
}
