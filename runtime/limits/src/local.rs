//! Counting in this process.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use crate::counter::Counter;
use crate::lineage::Lineages;
use crate::rule::Terms;
use crate::shard::{Room, Shard, Slot};
use crate::verdict::Part;
use crate::{Ask, Clock, Decision, InvalidRule, Rule, RuleSpec, Standing, SystemClock, Taken, Verdict};

/// Counters of one process, shared by all its threads.
///
/// The counters are spread over [`SHARDS`] locks. A call locks the shards of all its asks, in order,
/// so that it is atomic and no two calls can wait for each other.
pub struct Local {
    clock: Box<dyn Clock>,
    hasher: RandomState,
    lineages: Lineages,
    shards: Box<[Mutex<Shard>]>,
    room: Room,
}

/// Most that is kept. Expired counters go by themselves; when there are more live ones than this, the
/// soonest to expire of a small sample makes place for each new one, and its limit starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Counters; default 1,000,000, about 200 bytes each at worst, keys apart.
    pub counters: usize,
    /// Length of all keys together, in bytes; default 128 MiB.
    pub key_bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { counters: 1_000_000, key_bytes: 128 << 20 }
    }
}

impl Default for Local {
    fn default() -> Self {
        Local::new()
    }
}

impl Local {
    pub fn new() -> Local {
        Local::with_clock(SystemClock::start(), Capacity::default())
    }

    pub fn with_clock(clock: impl Clock, capacity: Capacity) -> Local {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let room =
            Room { counters: capacity.counters.div_ceil(SHARDS), key_bytes: capacity.key_bytes.div_ceil(SHARDS) };
        Local { clock: Box::new(clock), hasher: RandomState::default(), lineages: Lineages::default(), shards, room }
    }

    /// Defines a rule. The same identity with the same algorithm and window goes on counting where its
    /// earlier definitions stopped or still count, whatever their limit and burst.
    pub fn rule(&self, identity: &str, spec: RuleSpec) -> Result<Rule, InvalidRule> {
        let terms = Terms::try_from(spec)?;
        Ok(Rule::new(terms, self.lineages.join(identity, &terms, self.clock.now())))
    }

    /// Takes the permits of all asks, or none.
    pub fn take(&self, asks: &[Ask<'_>]) -> Verdict {
        // Pushed one by one here and below: collecting costs as much again as all of the counting.
        let mut places = Places::new();
        asks.iter().for_each(|ask| places.push(self.place(ask)));
        let mut shards = self.lock(&places);
        // Read under the locks: time then never goes back for a counter.
        let now = self.clock.now();
        find(asks, &mut places, &shards);
        match check(asks, &places, &shards, now) {
            Ok(()) => admit(asks, &mut places, &mut shards, now, self.room),
            Err(denial) => deny(asks, &places, &shards, now, denial),
        }
    }

    /// Settles what was taken, when its cost is known only later: `cost` permits in all for each ask that
    /// took any. What is more than was taken is charged now, whether it is there or not (a stream that
    /// outlives its window is not free); what is less is given back as by [`Local::refund`]. Once per
    /// `taken`, and not after a refund.
    pub fn commit(&self, taken: &Taken, cost: u64) {
        for part in &taken.parts {
            let mut shard = self.lock_shard(shard_of(part.hash));
            let now = self.clock.now();
            if cost > part.cost {
                charge(&mut shard, part, now, cost - part.cost, self.room);
            } else {
                give_back(&mut shard, part, now, taken.at, part.cost - cost);
            }
        }
    }

    /// Gives back what was taken, as far as it has not come back by itself. Once per `taken`.
    pub fn refund(&self, taken: &Taken) {
        self.commit(taken, 0);
    }

    /// Drops what expired. `take` does so too, a little with each new counter; this is for quiet times.
    pub fn sweep(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.sweep(self.clock.now());
        }
        self.lineages.prune(self.clock.now());
    }

    /// Counters held, expired ones that were not dropped yet included.
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.lock_shard(shard).len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[cfg(test)]
    pub(crate) fn lineages(&self) -> usize {
        self.lineages.len()
    }

    fn place(&self, ask: &Ask<'_>) -> Place {
        let hash = self.hasher.hash_one((ask.rule.lineage(), ask.key));
        Place { hash, shard: shard_of(hash), at: None }
    }

    fn lock(&self, places: &Places) -> Shards<'_> {
        let mut locked = Shards::new();
        if let [only] = places.as_slice() {
            locked.push((only.shard, self.lock_shard(only.shard)));
            return locked;
        }
        let mut order: SmallVec<[usize; 4]> = places.iter().map(|place| place.shard).collect();
        order.sort_unstable();
        order.dedup();
        locked.extend(order.into_iter().map(|shard| (shard, self.lock_shard(shard))));
        locked
    }

    /// A panic under the lock can't leave a count half-way, so a poisoned lock is as good as any.
    fn lock_shard(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an ask's counter stands.
#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    shard: usize,
    /// Position within the shard; none while there is no counter.
    at: Option<usize>,
}

type Places = SmallVec<[Place; 4]>;
/// Locked, in ascending order.
type Shards<'a> = SmallVec<[(usize, MutexGuard<'a, Shard>); 4]>;

struct Denial {
    tightest: usize,
    retry_after: u64,
}

fn find(asks: &[Ask<'_>], places: &mut Places, shards: &Shards<'_>) {
    for (ask, place) in asks.iter().zip(places) {
        let shard = &shards[locked(shards, place)].1;
        place.at = shard.find(place.hash, ask.rule.lineage(), ask.key);
    }
}

/// Of all asks that can't be admitted, the one that has to wait longest.
fn check(asks: &[Ask<'_>], places: &Places, shards: &Shards<'_>, now: u64) -> Result<(), Denial> {
    let mut denial: Option<Denial> = None;
    // A look is admitted whatever the asks before it want.
    for (i, ask) in asks.iter().enumerate().filter(|(_, ask)| ask.cost > 0) {
        let cost = earlier_cost(asks, places, i).saturating_add(ask.cost);
        let counter = slot(shards, &places[i]).map(Slot::counter);
        if let Err(denied) = Counter::check(counter, ask.rule.terms(), now, cost)
            && denial.as_ref().is_none_or(|worst| denied.retry_after > worst.retry_after)
        {
            denial = Some(Denial { tightest: i, retry_after: denied.retry_after });
        }
    }
    denial.map_or(Ok(()), Err)
}

/// What asks before this one want of the same counter.
fn earlier_cost(asks: &[Ask<'_>], places: &Places, i: usize) -> u64 {
    (0..i)
        .filter(|&j| places[j].hash == places[i].hash)
        .filter(|&j| asks[j].rule.lineage() == asks[i].rule.lineage() && asks[j].key == asks[i].key)
        .fold(0, |sum, j| sum.saturating_add(asks[j].cost))
}

fn admit(asks: &[Ask<'_>], places: &mut Places, shards: &mut Shards<'_>, now: u64, room: Room) -> Verdict {
    let mut taken = Taken { at: now, parts: SmallVec::new() };
    let mut inserted = false;
    for (ask, place) in asks.iter().zip(&mut *places).filter(|(ask, _)| ask.cost > 0) {
        let at = locked(shards, place);
        let shard = &mut shards[at].1;
        let (lineage, terms) = (ask.rule.lineage(), ask.rule.terms());
        // An earlier ask of this call may have made the counter.
        let found = place.at.or_else(|| shard.find(place.hash, lineage, ask.key));
        let at = found.unwrap_or_else(|| shard.insert(place.hash, lineage, ask.key.into(), terms));
        inserted |= found.is_none();
        place.at = Some(at);
        let slot = shard.update(at, terms, now, |counter| counter.charge(terms, now, ask.cost));
        let (rule, key) = (ask.rule.clone(), Arc::clone(slot.key()));
        taken.parts.push(Part { rule, key, hash: place.hash, cost: ask.cost });
    }
    let standings = standings(asks, places, shards, now);
    let tightest = (0..standings.len()).min_by_key(|&i| standings[i].remaining).unwrap_or_default();
    // Last: it may move or drop any counter.
    if inserted {
        shards.iter_mut().for_each(|(_, shard)| shard.make_room(now, room));
    }
    Verdict { decision: Decision::Admitted, tightest, standings, retry_after: Duration::ZERO, taken }
}

fn deny(asks: &[Ask<'_>], places: &Places, shards: &Shards<'_>, now: u64, denial: Denial) -> Verdict {
    Verdict {
        decision: Decision::Denied,
        tightest: denial.tightest,
        standings: standings(asks, places, shards, now),
        retry_after: Duration::from_nanos(denial.retry_after),
        taken: Taken::default(),
    }
}

fn standings(asks: &[Ask<'_>], places: &Places, shards: &Shards<'_>, now: u64) -> SmallVec<[Standing; 4]> {
    let mut standings = SmallVec::new();
    for (ask, place) in asks.iter().zip(places) {
        let terms = ask.rule.terms();
        standings.push(slot(shards, place).map_or_else(|| terms.whole(), |slot| slot.standing(terms, now)));
    }
    standings
}

fn slot<'s>(shards: &'s Shards<'_>, place: &Place) -> Option<&'s Slot> {
    place.at.map(|at| shards[locked(shards, place)].1.slot(at))
}

/// Index of the place's shard among the locked ones.
fn locked(shards: &Shards<'_>, place: &Place) -> usize {
    let found = shards.iter().position(|(number, _)| *number == place.shard);
    found.expect("the shards of all places are locked")
}

fn charge(shard: &mut Shard, part: &Part, now: u64, permits: u64, room: Room) {
    let (lineage, terms) = (part.rule.lineage(), part.rule.terms());
    let found = shard.find(part.hash, lineage, &part.key);
    let at = found.unwrap_or_else(|| shard.insert(part.hash, lineage, Arc::clone(&part.key), terms));
    shard.update(at, terms, now, |counter| counter.charge(terms, now, permits));
    if found.is_none() {
        shard.make_room(now, room);
    }
}

/// A counter that is gone was whole: there is nothing to give back.
fn give_back(shard: &mut Shard, part: &Part, now: u64, taken_at: u64, permits: u64) {
    let terms = part.rule.terms();
    if let Some(at) = shard.find(part.hash, part.rule.lineage(), &part.key) {
        shard.update(at, terms, now, |counter| counter.give_back(terms, now, taken_at, permits));
    }
}

/// From the middle of the hash: the map within a shard uses its ends.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

const SHARDS: usize = 64;
