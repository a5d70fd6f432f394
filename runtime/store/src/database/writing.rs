//! One revision in the making.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use sqlx::{Postgres, QueryBuilder, Row as _, Sqlite};
use tollgate_model::Kind;

use super::StoreError;
use super::backend::{Session, on};
use super::error::ConflictOf;
use super::history::image_of;
use super::reading::{COLUMNS, entity, joined_tags};
use super::types::{Change, Edit, Filter, Head, NewRow, Origin, Revision, Row, Since, Step};

/// A transaction that holds the head: nobody else commits a revision before it ends. Dropped, nothing of it
/// happened.
pub struct Writing {
    session: Session,
    head: Head,
}

impl Writing {
    pub(super) async fn begin(mut session: Session) -> Result<Writing, StoreError> {
        let select = match session {
            // The transaction itself is the lock.
            Session::Sqlite(_) => "SELECT number, id, oldest FROM head",
            Session::Postgres(_) => "SELECT number, id, oldest FROM head FOR UPDATE",
        };
        let head = session.head_by(select).await?;
        Ok(Writing { session, head })
    }

    /// The one that is locked.
    pub fn revision(&self) -> &Revision {
        &self.head.revision
    }

    pub async fn since(&mut self, known: &Revision) -> Result<Since, StoreError> {
        self.session.since(known).await
    }

    /// All rows at the locked revision.
    pub async fn load(&mut self, each: &mut (dyn FnMut(Row) + Send)) -> Result<(), StoreError> {
        self.session.unhurried().await?;
        self.session.each_row(each).await
    }

    pub async fn row(&mut self, kind: Kind, name: &str) -> Result<Option<Row>, StoreError> {
        self.session.row(kind, name).await
    }

    pub async fn row_by_id(&mut self, kind: Kind, id: &str) -> Result<Option<Row>, StoreError> {
        self.session.row_by_id(kind, id).await
    }

    pub async fn rows(&mut self, kind: Kind, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        self.session.rows(kind, filter).await
    }

    /// The edits that lead back to that revision.
    pub async fn images_at(&mut self, number: u64) -> Result<Option<Vec<Edit>>, StoreError> {
        self.session.images_at(number).await
    }

    /// Keeps bytes, once each.
    pub async fn put_blob(&mut self, digest: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let insert = "INSERT INTO blobs (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
        on!(&mut self.session, connection => {
            sqlx::query(insert).bind(digest).bind(bytes).execute(&mut *connection).await?;
        });
        Ok(())
    }

    /// Writes the rows, the log, the audit and the head as one. Deleting a consumer deletes its keys.
    ///
    /// # Errors
    /// `Conflict` for a fingerprint that another row has, `Missing` for what is to be deleted and is not there. On
    /// `Away` nobody knows whether it took place.
    pub async fn commit(mut self, origin: &Origin, edits: &[Edit]) -> Result<Step, StoreError> {
        let edits = self.with_owned(edits).await?;
        let before = self.images(&edits).await?;
        let at = now();
        let revision =
            Revision { number: self.head.revision.number + 1, id: uuid::Uuid::new_v4().simple().to_string() };
        let changes = changes(&edits, before, revision.number, at)?;
        self.write_rows(&changes).await?;
        self.write_log(origin, &revision, at, &changes).await?;
        self.session.commit().await?;
        let (author, action) = (origin.author.clone(), origin.action.clone());
        Ok(Step { revision, at, author, action, changes })
    }

    /// Drops the log of all but so many revisions. The audit stays, and so do modules that were stored.
    pub(super) async fn prune(mut self, keep: u64) -> Result<u64, StoreError> {
        let oldest = self.head.revision.number.saturating_sub(keep);
        if oldest <= self.head.oldest {
            return Ok(0);
        }
        let until = oldest.cast_signed();
        self.session.unhurried().await?;
        on!(&mut self.session, connection => {
            sqlx::query("DELETE FROM changes WHERE revision <= $1").bind(until).execute(&mut *connection).await?;
            // The one that followers at `oldest` are found by stays.
            sqlx::query("DELETE FROM revisions WHERE number < $1").bind(until).execute(&mut *connection).await?;
            sqlx::query("UPDATE head SET oldest = $1").bind(until).execute(&mut *connection).await?;
        });
        let dropped = oldest - self.head.oldest;
        self.session.commit().await?;
        Ok(dropped)
    }

    /// The keys of deleted consumers are deleted as well.
    async fn with_owned(&mut self, edits: &[Edit]) -> Result<Vec<Edit>, StoreError> {
        let mut all = edits.to_vec();
        for edit in edits {
            let Edit::Delete { kind: Kind::Consumer, name } = edit else { continue };
            let mut filter = Filter { owner: Some(name.clone()), limit: PIECE as u32, ..Filter::default() };
            loop {
                let keys = self.session.rows(Kind::Key, &filter).await?;
                let Some(last) = keys.last() else { break };
                filter.after = Some(last.name.clone());
                let is_named = |name: &str| {
                    edits
                        .iter()
                        .any(|edit| matches!(edit, Edit::Delete { kind: Kind::Key, name: other } if other == name))
                };
                let keys = keys.into_iter().filter(|key| !is_named(&key.name));
                all.extend(keys.map(|key| Edit::Delete { kind: Kind::Key, name: key.name }));
            }
        }
        Ok(all)
    }

    /// What is there of what is to be changed.
    async fn images(&mut self, edits: &[Edit]) -> Result<HashMap<(Kind, String), Row>, StoreError> {
        let mut names: BTreeMap<Kind, Vec<&str>> = BTreeMap::new();
        for edit in edits {
            let (kind, name) = edit.entity();
            names.entry(kind).or_default().push(name);
        }
        let mut images = HashMap::with_capacity(edits.len());
        for (kind, names) in names {
            for piece in names.chunks(PIECE) {
                let rows = match &mut self.session {
                    Session::Sqlite(transaction) => {
                        let mut query = named_rows::<Sqlite>(kind, piece);
                        let found = query.build().fetch_all(&mut **transaction).await?;
                        let mut rows = Vec::with_capacity(found.len());
                        for row in &found {
                            rows.extend(entity!(row));
                        }
                        rows
                    }
                    Session::Postgres(transaction) => {
                        let mut query = named_rows::<Postgres>(kind, piece);
                        let found = query.build().fetch_all(&mut **transaction).await?;
                        let mut rows = Vec::with_capacity(found.len());
                        for row in &found {
                            rows.extend(entity!(row));
                        }
                        rows
                    }
                };
                images.extend(rows.into_iter().map(|row: Row| ((row.kind, row.name.clone()), row)));
            }
        }
        Ok(images)
    }

    async fn write_rows(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.session.delete_rows(changes).await?;
        let rows: Vec<&Row> = changes.iter().filter_map(|change| change.after.as_ref()).collect();
        self.session.put_rows(&rows).await
    }

    async fn write_log(
        &mut self,
        origin: &Origin,
        revision: &Revision,
        at: i64,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        self.session.put_step(revision, at, origin, changes).await?;
        let shown: Vec<_> = changes
            .iter()
            .take(MOST_SHOWN)
            .map(|change| (change.verb(), change.kind.word(), change.name.as_str()))
            .collect();
        let shown = serde_json::to_string(&shown).expect("texts are JSON");
        let insert = "INSERT INTO audit (revision, id, made_at, author, action, node, entities, entity_count) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let number = revision.number.cast_signed();
        on!(&mut self.session, connection => {
            let query = sqlx::query(insert).bind(number).bind(&revision.id).bind(at).bind(&origin.author);
            let query = query.bind(&origin.action).bind(&origin.node).bind(shown).bind(changes.len() as i64);
            query.execute(&mut *connection).await?;
            let update = "UPDATE head SET number = $1, id = $2";
            sqlx::query(update).bind(number).bind(&revision.id).execute(&mut *connection).await?;
        });
        Ok(())
    }
}

impl Session {
    pub(super) async fn delete_rows(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes.iter().filter(|change| change.after.is_none()) {
            let delete = "DELETE FROM entities WHERE kind = $1 AND name = $2";
            let (kind, name) = (change.kind.word(), change.name.as_str());
            on!(&mut *self, connection => {
                sqlx::query(delete).bind(kind).bind(name).execute(&mut *connection).await?;
            });
        }
        Ok(())
    }

    pub(super) async fn put_rows(&mut self, rows: &[&Row]) -> Result<(), StoreError> {
        for piece in rows.chunks(PIECE) {
            let outcome = match self {
                Session::Sqlite(transaction) => {
                    upsert::<Sqlite>(piece).build().execute(&mut **transaction).await.map(|_| ())
                }
                Session::Postgres(transaction) => {
                    upsert::<Postgres>(piece).build().execute(&mut **transaction).await.map(|_| ())
                }
            };
            outcome.map_err(|error| match error.as_database_error() {
                // The only index that what was checked before can run into.
                Some(refused) if refused.is_unique_violation() => {
                    let row = piece.iter().find(|row| row.fingerprint.is_some()).unwrap_or(&piece[0]);
                    StoreError::Conflict { kind: row.kind, name: row.name.clone(), of: ConflictOf::Fingerprint }
                }
                _ => error.into(),
            })?;
        }
        Ok(())
    }

    pub(super) async fn put_step(
        &mut self,
        revision: &Revision,
        at: i64,
        origin: &Origin,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO revisions (number, id, made_at, author, action) VALUES ($1, $2, $3, $4, $5)";
        let number = revision.number.cast_signed();
        on!(&mut *self, connection => {
            let query = sqlx::query(insert).bind(number).bind(&revision.id).bind(at);
            query.bind(&origin.author).bind(&origin.action).execute(&mut *connection).await?;
        });
        for (piece, changes) in changes.chunks(PIECE).enumerate() {
            let first = piece * PIECE;
            match self {
                Session::Sqlite(transaction) => {
                    logged::<Sqlite>(number, first, changes).build().execute(&mut **transaction).await?;
                }
                Session::Postgres(transaction) => {
                    logged::<Postgres>(number, first, changes).build().execute(&mut **transaction).await?;
                }
            }
        }
        Ok(())
    }
}

impl Edit {
    fn entity(&self) -> (Kind, &str) {
        match self {
            Edit::Put(row) => (row.kind, &row.name),
            Edit::Delete { kind, name } => (*kind, name),
        }
    }
}

impl Change {
    /// What became of the entity.
    pub fn verb(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "created",
            (Some(_), Some(_)) => "updated",
            (Some(_), None) => "deleted",
        }
    }
}

/// The last edit of an entity counts.
fn changes(
    edits: &[Edit],
    mut before: HashMap<(Kind, String), Row>,
    revision: u64,
    at: i64,
) -> Result<Vec<Change>, StoreError> {
    let mut changes: Vec<Change> = Vec::with_capacity(edits.len());
    let mut places: HashMap<(Kind, String), usize> = HashMap::with_capacity(edits.len());
    for edit in edits {
        let (kind, name) = edit.entity();
        let key = (kind, name.to_owned());
        let place = match places.get(&key) {
            Some(place) => *place,
            None => {
                let before = before.remove(&key);
                changes.push(Change { kind, name: name.to_owned(), after: before.clone(), before });
                places.insert(key, changes.len() - 1);
                changes.len() - 1
            }
        };
        let change = &mut changes[place];
        match edit {
            Edit::Put(row) => change.after = Some(made(row, change.before.as_ref(), revision, at)),
            Edit::Delete { .. } if change.after.is_none() => {
                return Err(StoreError::Missing { kind, name: name.to_owned() });
            }
            Edit::Delete { .. } => change.after = None,
        }
    }
    changes.retain(|change| change.before.is_some() || change.after.is_some());
    Ok(changes)
}

fn made(row: &NewRow, before: Option<&Row>, revision: u64, at: i64) -> Row {
    let NewRow { kind, name, owner, fingerprint, tags, body } = row.clone();
    Row {
        kind,
        name,
        id: before.map_or_else(|| uuid::Uuid::new_v4().to_string(), |before| before.id.clone()),
        owner,
        fingerprint,
        tags,
        revision,
        created_at: before.map_or(at, |before| before.created_at),
        updated_at: at,
        body,
    }
}

/// The statement that reads rows by name.
fn named_rows<DB>(kind: Kind, names: &[&str]) -> QueryBuilder<DB>
where
    DB: sqlx::Database,
    DB::Arguments: Default,
    for<'t> &'t str: sqlx::Encode<'t, DB> + sqlx::Type<DB>,
    String: for<'t> sqlx::Encode<'t, DB> + sqlx::Type<DB>,
{
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM entities WHERE kind = "));
    query.push_bind(kind.word().to_owned()).push(" AND name IN (");
    let mut list = query.separated(", ");
    for name in names {
        list.push_bind((*name).to_owned());
    }
    query.push(")");
    query
}

fn upsert<DB>(rows: &[&Row]) -> QueryBuilder<DB>
where
    DB: sqlx::Database,
    DB::Arguments: Default,
    String: for<'t> sqlx::Encode<'t, DB> + sqlx::Type<DB>,
    Option<String>: for<'t> sqlx::Encode<'t, DB> + sqlx::Type<DB>,
    i64: for<'t> sqlx::Encode<'t, DB> + sqlx::Type<DB>,
{
    let mut query = QueryBuilder::new(format!("INSERT INTO entities ({COLUMNS}) "));
    query.push_values(rows, |mut values, row| {
        values.push_bind(row.kind.word().to_owned()).push_bind(row.name.clone()).push_bind(row.id.clone());
        values.push_bind(row.owner.clone()).push_bind(row.fingerprint.clone()).push_bind(joined_tags(&row.tags));
        values.push_bind(row.revision.cast_signed()).push_bind(row.created_at).push_bind(row.updated_at);
        values.push_bind(row.body.clone());
    });
    query.push(
        " ON CONFLICT (kind, name) DO UPDATE SET id = excluded.id, owner = excluded.owner, \
         fingerprint = excluded.fingerprint, tags = excluded.tags, revision = excluded.revision, \
         created_at = excluded.created_at, updated_at = excluded.updated_at, body = excluded.body",
    );
    query
}

fn logged<DB>(revision: i64, first: usize, changes: &[Change]) -> QueryBuilder<DB>
where
    DB: sqlx::Database,
    DB::Arguments: Default,
    String: for<'t> sqlx::Encode<'t, DB> + sqlx::Type<DB>,
    Option<String>: for<'t> sqlx::Encode<'t, DB> + sqlx::Type<DB>,
    i64: for<'t> sqlx::Encode<'t, DB> + sqlx::Type<DB>,
{
    let mut query =
        QueryBuilder::new("INSERT INTO changes (revision, position, kind, name, image_before, image_after) ");
    query.push_values(changes.iter().enumerate(), |mut values, (at, change)| {
        values.push_bind(revision).push_bind((first + at) as i64);
        values.push_bind(change.kind.word().to_owned()).push_bind(change.name.clone());
        values.push_bind(change.before.as_ref().map(image_of)).push_bind(change.after.as_ref().map(image_of));
    });
    query
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Rows in one statement: SQLite takes 32,766 parameters.
const PIECE: usize = 1000;
/// Entities that the audit names.
const MOST_SHOWN: usize = 100;
