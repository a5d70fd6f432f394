use serde::Serialize;
use tollgate_model::Name;
use tollgate_model::entity::Consumer;

use super::ChainEntryView;

#[derive(Serialize)]
pub(crate) struct ConsumerView<'a> {
    name: &'a Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_id: Option<&'a str>,
    groups: &'a [String],
    /// Those of a database are rows of their own, and not told here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<KeyView<'a>>,
    chain: Vec<ChainEntryView<'a>>,
    tags: &'a [String],
}

/// Never the key itself.
#[derive(Serialize)]
struct KeyView<'a> {
    id: &'a Name,
}

impl<'a> From<&'a Consumer> for ConsumerView<'a> {
    fn from(consumer: &'a Consumer) -> ConsumerView<'a> {
        ConsumerView {
            name: &consumer.name,
            custom_id: consumer.custom_id.as_deref(),
            groups: &consumer.groups,
            keys: consumer.keys.iter().map(|credential| KeyView { id: &credential.id }).collect(),
            chain: ChainEntryView::list(&consumer.chain),
            tags: &consumer.tags,
        }
    }
}
