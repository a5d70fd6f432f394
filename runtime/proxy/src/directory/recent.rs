use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use tollgate_plugin_host::Identity;

/// Identities used of late, by what they are found by. Shared by all workers without a lock; bounded. The
/// table is made with the first identity.
///
/// A key has a pair of places, by its hash's bits; of all that want them the latest two are kept.
pub(super) struct Recent<K> {
    places: OnceLock<Box<[ArcSwapOption<Kept<K>>]>>,
    /// A power of two.
    size: usize,
}

struct Kept<K> {
    key: K,
    identity: Arc<Identity>,
}

impl<K> Recent<K> {
    /// With room for all of a few, and for those that are used most of many.
    pub(super) fn for_about(known: usize) -> Recent<K> {
        Recent { places: OnceLock::new(), size: known.saturating_mul(2).next_power_of_two().clamp(2, PLACES) }
    }

    /// `bits` must be as different as the keys are.
    pub(super) fn get(&self, bits: u64, is: impl Fn(&K) -> bool) -> Option<Arc<Identity>> {
        self.pair(self.places.get()?, bits).iter().find_map(|place| {
            let kept = place.load();
            let kept = kept.as_ref().filter(|kept| is(&kept.key))?;
            Some(Arc::clone(&kept.identity))
        })
    }

    pub(super) fn keep(&self, bits: u64, key: K, identity: &Arc<Identity>) {
        let empty = || (0..self.size).map(|_| ArcSwapOption::empty()).collect();
        let [newest, older] = self.pair(self.places.get_or_init(empty), bits);
        older.store(newest.swap(Some(Arc::new(Kept { key, identity: Arc::clone(identity) }))));
    }

    fn pair<'p>(&self, places: &'p [ArcSwapOption<Kept<K>>], bits: u64) -> &'p [ArcSwapOption<Kept<K>>; 2] {
        let (pairs, _) = places.as_chunks();
        &pairs[bits as usize & (self.size / 2 - 1)]
    }
}

/// An identity takes about half a kilobyte.
const PLACES: usize = 1 << 14;
