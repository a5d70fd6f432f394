//! Connections by the client's address.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

/// Open connections of each address, no more than a bound. Only addresses that have some are held.
pub(super) struct AddressCounts {
    most: usize,
    hasher: RandomState,
    shards: [Mutex<HashMap<Block, usize, RandomState>>; SHARDS],
}

/// What counts as one address: of IPv6 a /64, which is what one customer or one host is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Block {
    V4(u32),
    V6(u64),
}

impl AddressCounts {
    pub(super) fn new(most: usize) -> AddressCounts {
        AddressCounts { most, hasher: RandomState::default(), shards: Default::default() }
    }

    /// Counts one more; `None` when the address has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Block> {
        let block = Block::of(address);
        let mut shard = self.shard(block);
        let count = shard.entry(block).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(block)
    }

    pub(super) fn leave(&self, block: Block) {
        let mut shard = self.shard(block);
        match shard.get_mut(&block) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(shard.remove(&block)),
        }
    }

    fn shard(&self, block: Block) -> MutexGuard<'_, HashMap<Block, usize, RandomState>> {
        let index = self.hasher.hash_one(block) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Block {
    fn of(address: IpAddr) -> Block {
        match address.to_canonical() {
            IpAddr::V4(address) => Block::V4(address.to_bits()),
            IpAddr::V6(address) => Block::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// Few workers meet at one of them at the same moment.
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_no_more_until_one_leaves() {
        let counts = AddressCounts::new(2);
        let enter = |address: &str| counts.enter(address.parse().unwrap());
        let first = enter("192.0.2.1").unwrap();
        assert!(enter("::ffff:192.0.2.1").is_some(), "an IPv4 address stays one in IPv6 clothes");
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        counts.leave(first);
        assert!(enter("192.0.2.1").is_some());
    }

    #[test]
    fn one_network_of_ipv6_is_one_address_and_nothing_is_kept_of_who_left() {
        let counts = AddressCounts::new(1);
        let block = counts.enter("2001:db8:0:1::1".parse().unwrap()).unwrap();
        assert!(counts.enter("2001:db8:0:1:ffff::2".parse().unwrap()).is_none());
        let other = counts.enter("2001:db8:0:2::1".parse().unwrap()).unwrap();
        counts.leave(block);
        counts.leave(other);
        assert!(counts.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
