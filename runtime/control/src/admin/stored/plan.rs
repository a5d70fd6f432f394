//! The plans of writes to one entity.

use serde_json::{Map, Value};
use tollgate_model::decode::{Decode, Place};
use tollgate_model::problem::{Complaint, Problem};
use tollgate_model::{Kind, Name, Problems};
use tollgate_store::database::Row;

use super::conditions::Conditions;
use super::entity::{told_only, whole};
use super::merge::merge;
use super::{consumer_keys, hidden};
use crate::writer::{Draft, Plan, WriteError};

/// Makes or changes an entity.
pub(super) struct Put {
    pub(super) kind: Kind,
    pub(super) way: Way,
    pub(super) table: Map<String, Value>,
    pub(super) conditions: Conditions,
}

/// With the name or id in the path.
pub(super) enum Way {
    Create,
    Replace(String),
    Merge(String),
}

/// An entity that was made or changed.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    /// Secrets in the clear.
    pub(super) body: Value,
    pub(super) is_new: bool,
}

impl Plan for Put {
    type Outcome = Made;

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<Made, WriteError> {
        let kind = self.kind;
        let (row, addressed) = match &self.way {
            Way::Create => (None, None),
            Way::Replace(name) | Way::Merge(name) => (find(draft, kind, name).await?, Some(name)),
        };
        let stored = row.as_ref().map(|row| draft.opened(row));
        let table = match &self.way {
            Way::Create | Way::Replace(_) => {
                self.conditions.check(row.as_ref())?;
                self.table.clone()
            }
            Way::Merge(name) => {
                let row = row.as_ref().ok_or_else(|| WriteError::Missing { kind, name: name.clone() })?;
                self.conditions.check(Some(row))?;
                let mut merged = whole(kind, &row.name, &row.tags, draft.opened(row)?);
                merge(&mut merged, Value::Object(self.table.clone()));
                let Value::Object(merged) = merged else { return Err(not_readable(kind, name)) };
                merged
            }
        };
        let was = row.as_ref().map(|row| row.name.as_str());
        let mut sent = Sent::read(kind, table, was.or(addressed.map(String::as_str)))?;
        let is_new = row.is_none();
        if is_new || was != Some(sent.name.as_str()) {
            self.check_free(draft, &sent.name, addressed.filter(|_| is_new)).await?;
        }
        if hidden::is_in(&sent.body) {
            sent.restore(kind, stored.transpose()?.as_ref())?;
        }
        let keys = sent.keys.take();
        draft.put(kind, &sent.name, sent.tags.clone(), sent.body.clone(), None, None);
        match was {
            Some(was) if was != sent.name => rename(draft, kind, was).await?,
            _ => {}
        }
        if let Some(keys) = keys {
            consumer_keys::replace(draft, &sent.name, &keys, is_new).await?;
        }
        let Sent { name, tags, body, .. } = sent;
        Ok(Made { name, tags, body, is_new })
    }
}

impl Put {
    /// Whether nothing has that name yet, and it is the one in the path, where there is one.
    async fn check_free(
        &self,
        draft: &mut Draft<'_>,
        name: &str,
        addressed: Option<&String>,
    ) -> Result<(), WriteError> {
        if let Some(addressed) = addressed.filter(|addressed| *addressed != name) {
            let message = format!("the path says `{addressed}`, and there is none of that name to be renamed");
            return Err(at(self.kind, addressed, "name", Complaint::from(message)).into());
        }
        match draft.row(self.kind, name).await? {
            Some(_) => Err(WriteError::Conflict(format!("there is a {} `{name}` already", self.kind))),
            None => Ok(()),
        }
    }
}

/// References do not follow: whoever has them would be changed without having been named.
async fn rename(draft: &mut Draft<'_>, kind: Kind, was: &str) -> Result<(), WriteError> {
    if kind == Kind::Consumer && !draft.all_rows(Kind::Key, Some(was)).await?.is_empty() {
        return Err(WriteError::Conflict(format!(
            "the consumer `{was}` has keys, which do not move to another name; make a new consumer with keys of its own"
        )));
    }
    draft.delete(kind, was);
    draft.preview().await.map(drop).map_err(|error| match error {
        WriteError::Problems(mut problems) => {
            let complaint = Complaint::new(
                "those that name it would not follow to the new name",
                "make one of the new name, let the others name that, and delete this one",
            );
            problems.add(at(kind, was, "name", complaint));
            WriteError::Problems(problems)
        }
        other => other,
    })
}

/// Deletes an entity; a consumer's keys go with it.
pub(super) struct Delete {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) conditions: Conditions,
}

impl Plan for Delete {
    type Outcome = ();

    async fn plan(&self, draft: &mut Draft<'_>) -> Result<(), WriteError> {
        let row = find(draft, self.kind, &self.name).await?;
        self.conditions.check(row.as_ref())?;
        let Some(row) = row else { return Ok(()) };
        delete(draft, self.kind, &row.name).await
    }
}

pub(super) async fn delete(draft: &mut Draft<'_>, kind: Kind, name: &str) -> Result<(), WriteError> {
    if kind == Kind::Consumer {
        for key in draft.all_rows(Kind::Key, Some(name)).await? {
            draft.delete(Kind::Key, &key.name);
        }
    }
    draft.delete(kind, name);
    Ok(())
}

/// By name or id.
pub(super) async fn find(draft: &mut Draft<'_>, kind: Kind, name: &str) -> Result<Option<Row>, WriteError> {
    if name.contains(char::is_control) {
        return Ok(None);
    }
    match draft.row(kind, name).await? {
        None if is_id(name) => draft.row_by_id(kind, name).await,
        found => Ok(found),
    }
}

/// Whether it has the form of a UUID.
pub(super) fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok() && text.len() == 36
}

/// What was sent of an entity, taken apart.
pub(super) struct Sent {
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) body: Value,
    /// Of a consumer, where they are stated.
    pub(super) keys: Option<Value>,
}

impl Sent {
    /// `addressed`: the name where none is stated; without it one is made up.
    pub(super) fn read(kind: Kind, mut table: Map<String, Value>, addressed: Option<&str>) -> Result<Sent, WriteError> {
        for key in told_only(kind) {
            table.remove(*key);
        }
        let mut problems = Problems::default();
        let section = Place::Root.key(kind.section());
        let key = if kind == Kind::Sni { "host" } else { "name" };
        let name = match (table.remove(key).filter(|name| !name.is_null()), addressed) {
            (Some(stated), _) if kind == Kind::Sni => {
                String::decode(&stated, &section.key(key), &mut problems).map(|host| host.to_ascii_lowercase())
            }
            (Some(stated), _) => Name::decode(&stated, &section.key(key), &mut problems).map(String::from),
            (None, Some(addressed)) if kind == Kind::Sni => {
                String::decode(&addressed.into(), &section.key(key), &mut problems)
                    .map(|host| host.to_ascii_lowercase())
            }
            (None, Some(addressed)) => {
                Name::decode(&addressed.into(), &section.key(key), &mut problems).map(String::from)
            }
            (None, None) if kind == Kind::Sni => {
                problems.add(Problem::new(&section, "`host` is missing"));
                None
            }
            (None, None) => Some(made_up(kind)),
        };
        let shown = name.clone().unwrap_or_default();
        let tags = match table.remove("tags").filter(|tags| !tags.is_null()) {
            Some(tags) if kind != Kind::Sni => {
                Vec::decode(&tags, &section.key(&shown).key("tags"), &mut problems).unwrap_or_default()
            }
            Some(tags) => {
                // An SNI has none: what decodes it says so.
                table.insert("tags".to_owned(), tags);
                Vec::new()
            }
            None => Vec::new(),
        };
        let keys = if kind == Kind::Consumer { table.remove("keys").filter(|keys| !keys.is_null()) } else { None };
        let body = Value::Object(table);
        match name {
            Some(name) if problems.is_empty() => Ok(Sent { name, tags, body, keys }),
            _ => Err(problems.into()),
        }
    }

    pub(super) fn restore(&mut self, kind: Kind, stored: Option<&Value>) -> Result<(), WriteError> {
        let mut problems = Problems::default();
        let section = Place::Root.key(kind.section());
        hidden::restore(&mut self.body, stored, &section.key(&self.name), &mut problems);
        problems.into_result(()).map_err(WriteError::from)
    }
}

/// `route-7f3a90c2`: unlikely to be there, and looked for anyway.
fn made_up(kind: Kind) -> String {
    format!("{kind}-{:08x}", rand::random::<u32>())
}

/// A problem with a key of an entity.
pub(super) fn at(kind: Kind, name: &str, key: &str, complaint: Complaint) -> Problem {
    Problem::new(&Place::Root.key(kind.section()).key(name).key(key), complaint)
}

fn not_readable(kind: Kind, name: &str) -> WriteError {
    WriteError::Conflict(format!("what is stored of the {kind} `{name}` can't be read; put it anew, whole"))
}
