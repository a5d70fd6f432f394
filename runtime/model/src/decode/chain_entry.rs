//! One entry of a `chain`: `"name"` or `{ plugin = "name", when = { … } }`.

use serde_json::Value;

use super::{Decode, Fields, Place};
use crate::entity::ChainEntry;
use crate::problem::Problem;
use crate::{Name, Problems};

impl Decode for ChainEntry {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<ChainEntry> {
        match value {
            Value::String(_) => Some(ChainEntry { plugin: Name::decode(value, place, problems)?, when: None }),
            Value::Object(_) => {
                let mut fields = Fields::open(value, place, problems);
                let plugin = fields.required("plugin");
                let when = fields.maybe("when");
                fields.finish()?;
                Some(ChainEntry { plugin: plugin?, when })
            }
            _ => {
                let expected = "expected the name of a plugin or a table";
                problems.add(Problem::new(place, expected).with_hint("as in { plugin = \"name\", when = { … } }"));
                None
            }
        }
    }
}
