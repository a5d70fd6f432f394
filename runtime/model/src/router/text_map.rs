use std::collections::HashMap;

use foldhash::fast::RandomState;

/// A map by text that is often tiny: its first entry needs no table and no hash, which keeps 100,000
/// hosts with one path each small.
#[derive(Debug)]
pub(super) struct TextMap<V> {
    first: Option<(Box<str>, V)>,
    #[expect(clippy::box_collection, reason = "most maps have no others, and there are many maps")]
    others: Option<Box<HashMap<Box<str>, V, RandomState>>>,
}

impl<V> Default for TextMap<V> {
    fn default() -> Self {
        TextMap { first: None, others: None }
    }
}

impl<V> TextMap<V> {
    pub(super) fn get(&self, text: &str) -> Option<&V> {
        let (first, value) = self.first.as_ref()?;
        if **first == *text { Some(value) } else { self.others.as_ref()?.get(text) }
    }

    /// The value at this text, made where there is none.
    pub(super) fn slot(&mut self, text: &str, new: impl Fn() -> V) -> &mut V {
        let (first, value) = self.first.get_or_insert_with(|| (text.into(), new()));
        if **first == *text {
            return value;
        }
        self.others.get_or_insert_default().entry(text.into()).or_insert_with(new)
    }
}
