//! Keys as they are sent: one, or all that a consumer is to have.

use serde_json::Value;
use tollgate_model::decode::{Decode, Fields, Place};
use tollgate_model::entity::SecretText;
use tollgate_model::problem::{Complaint, Problem};
use tollgate_model::{Kind, Name, Problems};

use super::{prefix, put};
use crate::admin::stored::expiry::Expiry;
use crate::admin::stored::history::ChangeView;
use crate::writer::{Draft, WriteError};

/// A key as it is sent.
#[derive(Default)]
pub(super) struct SentKey {
    pub(super) id: Option<Name>,
    pub(super) key: Option<SecretText>,
    pub(super) expires_at: Option<i64>,
}

impl Decode for SentKey {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<SentKey> {
        let mut fields = Fields::open(value, place, problems);
        let id = fields.maybe("id");
        let key = fields.maybe("key").map(|OwnKey(key)| key);
        let expires_at = fields.maybe("expires_at").map(|Expiry(at)| at);
        // Told of each key, and taken back without a word.
        for told in ["consumer", "prefix", "created_at", "revision"] {
            fields.has(told);
        }
        fields.finish()?;
        Some(SentKey { id, key, expires_at })
    }
}

/// A key that somebody chose.
struct OwnKey(SecretText);

impl Decode for OwnKey {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<OwnKey> {
        tollgate_model::decode::text(value, place, problems, "a key", |key| {
            match (8..=512).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
                true => Ok(OwnKey(SecretText::new(key))),
                false => Err("a key is 8 to 512 visible ASCII characters without spaces".into()),
            }
        })
    }
}

/// Gives a consumer exactly these keys: one without `key` is kept as it is stored, one that is not named goes. Tells
/// what that changes.
pub(in crate::admin::stored) async fn replace(
    draft: &mut Draft<'_>,
    consumer: &str,
    keys: &Value,
    is_new: bool,
) -> Result<Vec<ChangeView>, WriteError> {
    let stored = if is_new { Vec::new() } else { draft.all_rows(Kind::Key, Some(consumer)).await? };
    let mut problems = Problems::default();
    let place = Place::Root.key("consumers");
    let place = place.key(consumer);
    let place = place.key("keys");
    let sent = Vec::<SentKey>::decode(keys, &place, &mut problems).unwrap_or_default();
    let (mut kept, mut changes) = (Vec::with_capacity(sent.len()), Vec::new());
    for (index, key) in sent.into_iter().enumerate() {
        let id = key.id.map_or_else(|| format!("{consumer}-{}", index + 1), String::from);
        let name = format!("{consumer}/{id}");
        let place = place.index(index);
        if kept.contains(&name) {
            problems.add(Problem::new(&place, format!("another key has the id `{id}`")));
            continue;
        }
        match (key.key, stored.iter().find(|row| row.name == name)) {
            (Some(own), row) => {
                let hash = draft.vault().pepper().hash_key(own.expose().as_bytes()).to_hex();
                // Written back as it is, it makes no revision.
                let same = row.is_some_and(|row| row.fingerprint.as_deref() == Some(&hash) && key.expires_at.is_none());
                if !same {
                    changes.push(ChangeView::new(Kind::Key, &name, row.is_some(), true));
                    put(draft, consumer, &id, own.expose(), &prefix(own.expose()), key.expires_at);
                }
            }
            (None, Some(_)) => {}
            (None, None) => {
                let complaint =
                    Complaint::new("`key` is missing", format!("no key `{id}` is stored that could be kept"));
                problems.add(Problem::new(&place, complaint));
            }
        }
        kept.push(name);
    }
    for gone in stored.iter().filter(|row| !kept.contains(&row.name)) {
        changes.push(ChangeView::new(Kind::Key, &gone.name, true, false));
        draft.delete(Kind::Key, &gone.name);
    }
    problems.into_result(changes).map_err(WriteError::from)
}
