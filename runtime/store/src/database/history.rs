//! What was: revisions, what each changed, and who wanted it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use tollgate_model::Kind;

use super::backend::{Session, on};
use super::types::{AuditEntry, Change, Edit, NewRow, Origin, Revision, Row, Since, Step};
use super::{Database, StoreError};

impl Database {
    /// What came after `known`.
    pub async fn since(&self, known: &Revision) -> Result<Since, StoreError> {
        let since = self.following(async |session| session.since(known).await).await?;
        match since {
            // A copy that lags looks like another history. The original knows.
            Since::Anew if self.inner.copy.is_some() => self.reading(async |session| session.since(known).await).await,
            since => Ok(since),
        }
    }

    /// Revisions before `before` (or from the head on), newest first, with the images before.
    pub async fn steps(&self, before: Option<u64>, limit: u32) -> Result<Vec<Step>, StoreError> {
        self.reading(async |session| {
            let head = session.head().await?;
            let newest = head.revision.number;
            let until = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
            let from = (until + 1).saturating_sub(u64::from(limit)).max(head.oldest + 1);
            let mut steps = session.steps(from, until).await?;
            steps.reverse();
            Ok(steps)
        })
        .await
    }

    pub async fn step(&self, number: u64) -> Result<Option<Step>, StoreError> {
        self.reading(async |session| Ok(session.steps(number, number).await?.pop())).await
    }

    /// The edits that lead from the head back to that revision; `None` if that is not known any more, or not yet.
    pub async fn images_at(&self, number: u64) -> Result<Option<Vec<Edit>>, StoreError> {
        self.reading(async |session| session.images_at(number).await).await
    }

    /// Newest first, before that revision.
    pub async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let select = "SELECT revision, id, made_at, author, action, node, entities, entity_count FROM audit \
                      WHERE revision < $1 ORDER BY revision DESC LIMIT $2";
        let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
        let rows = async |session: &mut Session| {
            on!(session, connection => {
                let rows = sqlx::query(select).bind(before).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
                let mut entries = Vec::with_capacity(rows.len());
                for row in rows {
                    let (number, count): (i64, i64) = (row.try_get(0)?, row.try_get(7)?);
                    let entities: String = row.try_get(6)?;
                    entries.push(AuditEntry {
                        revision: Revision { number: number.cast_unsigned(), id: row.try_get(1)? },
                        at: row.try_get(2)?,
                        origin: Origin { author: row.try_get(3)?, action: row.try_get(4)?, node: row.try_get(5)? },
                        entities: serde_json::from_str(&entities).unwrap_or_default(),
                        count: count.cast_unsigned(),
                    });
                }
                Ok(entries)
            })
        };
        self.reading(rows).await
    }

    /// Drops what is older than so many revisions. How many that were.
    pub async fn prune(&self, keep: u64) -> Result<u64, StoreError> {
        let writing = self.begin().await?;
        self.written(writing.prune(keep)).await
    }
}

impl Session {
    pub(super) async fn since(&mut self, known: &Revision) -> Result<Since, StoreError> {
        let head = self.head().await?;
        if *known == head.revision {
            return Ok(Since::Steps(Vec::new()));
        }
        if known.number > head.revision.number || known.number < head.oldest || !self.has(known).await? {
            return Ok(Since::Anew);
        }
        let steps = self.steps(known.number + 1, head.revision.number).await?;
        match steps.len() as u64 == head.revision.number - known.number {
            true => Ok(Since::Steps(steps)),
            false => Ok(Since::Anew),
        }
    }

    /// Whether that revision is of this history.
    pub(super) async fn has(&mut self, revision: &Revision) -> Result<bool, StoreError> {
        if revision.number == 0 {
            return Ok(*revision == Revision::NONE);
        }
        let select = "SELECT COUNT(*) FROM revisions WHERE number = $1 AND id = $2";
        let (number, id) = (revision.number.cast_signed(), revision.id.as_str());
        let count: i64 = on!(self, connection => {
            sqlx::query(select).bind(number).bind(id).fetch_one(&mut *connection).await?.try_get(0)?
        });
        Ok(count == 1)
    }

    /// Those from `first` to `last`, in order.
    async fn steps(&mut self, first: u64, last: u64) -> Result<Vec<Step>, StoreError> {
        let (first, last) = (first.cast_signed(), last.cast_signed());
        let select = "SELECT number, id, made_at, author, action FROM revisions WHERE number BETWEEN $1 AND $2 \
                      ORDER BY number";
        let mut steps: Vec<Step> = on!(self, connection => {
            let rows = sqlx::query(select).bind(first).bind(last).fetch_all(&mut *connection).await?;
            let mut steps = Vec::with_capacity(rows.len());
            for row in rows {
                let number: i64 = row.try_get(0)?;
                let revision = Revision { number: number.cast_unsigned(), id: row.try_get(1)? };
                let (at, author, action) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
                steps.push(Step { revision, at, author, action, changes: Vec::new() });
            }
            steps
        });
        let select = "SELECT revision, kind, name, image_before, image_after FROM changes \
                      WHERE revision BETWEEN $1 AND $2 ORDER BY revision, position";
        on!(self, connection => {
            let rows = sqlx::query(select).bind(first).bind(last).fetch_all(&mut *connection).await?;
            for row in rows {
                let (revision, kind): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                let Some(kind) = Kind::of_word(&kind) else { continue };
                let change = Change {
                    kind,
                    name: row.try_get(2)?,
                    before: image(row.try_get(3)?)?,
                    after: image(row.try_get(4)?)?,
                };
                if let Ok(at) = steps.binary_search_by_key(&revision.cast_unsigned(), |step| step.revision.number) {
                    steps[at].changes.push(change);
                }
            }
        });
        Ok(steps)
    }

    pub(super) async fn images_at(&mut self, number: u64) -> Result<Option<Vec<Edit>>, StoreError> {
        let head = self.head().await?;
        if number < head.oldest || number > head.revision.number {
            return Ok(None);
        }
        let mut first_images: HashMap<(Kind, String), Option<Row>> = HashMap::new();
        let mut last_images: HashMap<(Kind, String), bool> = HashMap::new();
        for change in self.steps(number + 1, head.revision.number).await?.into_iter().flat_map(|step| step.changes) {
            let key = (change.kind, change.name);
            last_images.insert(key.clone(), change.after.is_some());
            first_images.entry(key).or_insert(change.before);
        }
        let edits = first_images.into_iter().filter_map(|((kind, name), before)| match before {
            Some(row) => Some(Edit::Put(NewRow::from(row))),
            // Made since; deleted again, there is nothing to do.
            None => last_images[&(kind, name.clone())].then_some(Edit::Delete { kind, name }),
        });
        Ok(Some(edits.collect()))
    }
}

impl From<Row> for NewRow {
    fn from(row: Row) -> NewRow {
        let Row { kind, name, owner, fingerprint, tags, body, .. } = row;
        NewRow { kind, name, owner, fingerprint, tags, body }
    }
}

/// A row as it stands in the log.
#[derive(Serialize, Deserialize)]
struct Image {
    kind: String,
    name: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    revision: u64,
    created_at: i64,
    updated_at: i64,
    body: String,
}

pub(super) fn image_of(row: &Row) -> String {
    let row = row.clone();
    let image = Image {
        kind: row.kind.word().to_owned(),
        name: row.name,
        id: row.id,
        owner: row.owner,
        fingerprint: row.fingerprint,
        tags: row.tags,
        revision: row.revision,
        created_at: row.created_at,
        updated_at: row.updated_at,
        body: row.body,
    };
    serde_json::to_string(&image).expect("texts and numbers are JSON")
}

fn image(text: Option<String>) -> Result<Option<Row>, StoreError> {
    let Some(text) = text else { return Ok(None) };
    let image: Image =
        serde_json::from_str(&text).map_err(|error| StoreError::Broken(format!("an image in the log: {error}")))?;
    let Some(kind) = Kind::of_word(&image.kind) else { return Ok(None) };
    Ok(Some(Row {
        kind,
        name: image.name,
        id: image.id,
        owner: image.owner,
        fingerprint: image.fingerprint,
        tags: image.tags,
        revision: image.revision,
        created_at: image.created_at,
        updated_at: image.updated_at,
        body: image.body,
    }))
}
