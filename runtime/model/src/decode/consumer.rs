use std::collections::HashMap;

use serde_json::Value;

use super::{Decode, Fields, HeaderText, Place, text};
use crate::entity::{Consumer, KeyCredential, SecretText};
use crate::problem::{Complaint, Problem};
use crate::{Name, Problems};

impl Decode for Consumer {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Consumer> {
        let mut fields = Fields::open(value, place, problems);
        let name: Option<Name> = fields.required("name");
        let custom_id = fields.maybe("custom_id").map(|HeaderText(text)| text);
        let groups = fields.optional::<Vec<Group>>("groups", Vec::new());
        let keys = fields.optional::<Vec<Key>>("keys", Vec::new());
        let chain = fields.optional("chain", Vec::new());
        let tags = fields.optional("tags", Vec::new());
        let keys = match &name {
            Some(name) => identify(name, keys, &mut fields),
            None => Vec::new(),
        };
        fields.finish()?;
        let groups = groups.into_iter().map(|group| group.0).collect();
        Some(Consumer { name: name?, custom_id, groups, keys, chain, tags })
    }
}

/// A group; `X-Consumer-Groups` lists them with commas between.
struct Group(String);

impl Decode for Group {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Group> {
        let HeaderText(text) = HeaderText::decode(value, place, problems)?;
        if text.contains(',') {
            problems.add(Problem::new(place, "a group has no comma in it"));
            return None;
        }
        Some(Group(text))
    }
}

struct Key {
    id: Option<Name>,
    key: SecretText,
}

impl Decode for Key {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Key> {
        let mut fields = Fields::open(value, place, problems);
        let id = fields.maybe("id");
        let key =
            fields.required_with("key", |value, place, problems| text(value, place, problems, "a key", parse_key));
        fields.finish()?;
        Some(Key { id, key: key? })
    }
}

fn parse_key(key: &str) -> Result<SecretText, Complaint> {
    if !(8..=512).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a key is 8 to 512 visible ASCII characters without spaces".into());
    }
    Ok(SecretText::new(key))
}

/// Gives each key its id and reports ids that are there twice.
fn identify(consumer: &Name, keys: Vec<Key>, fields: &mut Fields<'_, '_>) -> Vec<KeyCredential> {
    let place = fields.place();
    let place = place.key("keys");
    let mut seen = HashMap::new();
    let mut identified = Vec::with_capacity(keys.len());
    for (index, Key { id, key }) in keys.into_iter().enumerate() {
        let id = match id {
            Some(id) => id,
            None => match Name::parse(&format!("{consumer}-{}", index + 1)) {
                Ok(id) => id,
                Err(_) => {
                    let message = "the consumer's name is too long to make an id of it";
                    fields.add(Problem::new(&place.index(index), message).with_hint("give the key an `id`"));
                    continue;
                }
            },
        };
        if let Some(first) = seen.insert(id.clone(), index) {
            let problem = Problem::new(&place.index(index), format!("another key has the id `{id}`"));
            fields.add(problem.with_elsewhere(&place.index(first), "first used here"));
        }
        identified.push(KeyCredential { id, key });
    }
    identified
}
