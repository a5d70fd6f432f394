//! What is there now.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Row as _};
use tollgate_model::Kind;

use super::backend::{Session, on};
use super::types::{Cluster, Filter, Head, Revision, Row};
use super::{Database, StoreError};

/// The columns of a row, in the order that [`entity`] reads.
pub(super) const COLUMNS: &str = "kind, name, id, owner, fingerprint, tags, revision, created_at, updated_at, body";

/// A row of [`COLUMNS`]; `None` for a kind that only a newer version knows.
macro_rules! entity {
    ($row:expr) => {{
        let row = $row;
        let kind: String = row.try_get(0)?;
        let tags: String = row.try_get(5)?;
        match tollgate_model::Kind::of_word(&kind) {
            None => None,
            Some(kind) => Some($crate::database::types::Row {
                kind,
                name: row.try_get(1)?,
                id: row.try_get(2)?,
                owner: row.try_get(3)?,
                fingerprint: row.try_get(4)?,
                tags: $crate::database::reading::split_tags(&tags),
                revision: row.try_get::<i64, _>(6)?.cast_unsigned(),
                created_at: row.try_get(7)?,
                updated_at: row.try_get(8)?,
                body: row.try_get(9)?,
            }),
        }
    }};
}
pub(super) use entity;

impl Database {
    /// What identifies the cluster.
    pub async fn cluster(&self) -> Result<Cluster, StoreError> {
        self.reading(async |session| session.cluster().await).await
    }

    /// Stores the root sealed anew, if it is still sealed as in `before`.
    pub async fn set_root(&self, before: Option<&str>, sealed: &str) -> Result<bool, StoreError> {
        self.ready().await?;
        let update = "UPDATE meta SET sealed_root = $1 WHERE COALESCE(sealed_root, '') = $2";
        let (before, backend) = (before.unwrap_or_default(), &self.inner.backend);
        let set = async {
            let mut session = backend.write().await?;
            let changed = on!(&mut session, connection => {
                sqlx::query(update).bind(sealed).bind(before).execute(&mut *connection).await?.rows_affected()
            });
            session.commit().await?;
            Ok(changed == 1)
        };
        backend.answered(set).await
    }

    pub async fn head(&self) -> Result<Head, StoreError> {
        self.reading(async |session| session.head().await).await
    }

    /// All rows at one revision, one after the other.
    pub async fn load(&self, each: &mut (dyn FnMut(Row) + Send)) -> Result<Revision, StoreError> {
        self.reading_all(async |session| {
            let revision = session.head().await?.revision;
            session.each_row(each).await?;
            Ok(revision)
        })
        .await
    }

    pub async fn row(&self, kind: Kind, name: &str) -> Result<Option<Row>, StoreError> {
        self.reading(async |session| session.row(kind, name).await).await
    }

    pub async fn row_by_id(&self, kind: Kind, id: &str) -> Result<Option<Row>, StoreError> {
        self.reading(async |session| session.row_by_id(kind, id).await).await
    }

    pub async fn rows(&self, kind: Kind, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        self.reading(async |session| session.rows(kind, filter).await).await
    }

    pub async fn count(&self, kind: Kind) -> Result<u64, StoreError> {
        let count = "SELECT COUNT(*) FROM entities WHERE kind = $1";
        self.reading(async |session| {
            let count: i64 = on!(session, connection => {
                sqlx::query(count).bind(kind.word()).fetch_one(&mut *connection).await?.try_get(0)?
            });
            Ok(count.cast_unsigned())
        })
        .await
    }

    /// The bytes behind a digest.
    pub async fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let select = "SELECT bytes FROM blobs WHERE digest = $1";
        self.following(async |session| {
            on!(session, connection => {
                let found = sqlx::query(select).bind(digest).fetch_optional(&mut *connection).await?;
                found.map(|row| Ok(row.try_get(0)?)).transpose()
            })
        })
        .await
    }
}

impl Session {
    pub(super) async fn cluster(&mut self) -> Result<Cluster, StoreError> {
        on!(self, connection => {
            let row = sqlx::query("SELECT cluster, sealed_root FROM meta").fetch_one(&mut *connection).await?;
            Ok(Cluster { id: row.try_get(0)?, sealed_root: row.try_get(1)? })
        })
    }

    pub(super) async fn head(&mut self) -> Result<Head, StoreError> {
        self.head_by("SELECT number, id, oldest FROM head").await
    }

    pub(super) async fn head_by(&mut self, select: &'static str) -> Result<Head, StoreError> {
        on!(self, connection => {
            let row = sqlx::query(select).fetch_one(&mut *connection).await?;
            let number: i64 = row.try_get(0)?;
            let oldest: i64 = row.try_get(2)?;
            let revision = Revision { number: number.cast_unsigned(), id: row.try_get(1)? };
            Ok(Head { revision, oldest: oldest.cast_unsigned() })
        })
    }

    pub(super) async fn each_row(&mut self, each: &mut (dyn FnMut(Row) + Send)) -> Result<(), StoreError> {
        let select = format!("SELECT {COLUMNS} FROM entities");
        on!(self, connection => {
            let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut *connection);
            let mut next = async || tokio::time::timeout(SILENCE, rows.try_next()).await;
            while let Some(row) = next().await.map_err(|_| StoreError::Silent)?? {
                if let Some(row) = entity!(&row) {
                    each(row);
                }
            }
            Ok(())
        })
    }

    pub(super) async fn row(&mut self, kind: Kind, name: &str) -> Result<Option<Row>, StoreError> {
        self.one("name", kind, name).await
    }

    pub(super) async fn row_by_id(&mut self, kind: Kind, id: &str) -> Result<Option<Row>, StoreError> {
        self.one("id", kind, id).await
    }

    async fn one(&mut self, column: &'static str, kind: Kind, value: &str) -> Result<Option<Row>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM entities WHERE kind = $1 AND {column} = $2");
        on!(self, connection => {
            let query = sqlx::query(AssertSqlSafe(select)).bind(kind.word()).bind(value);
            match query.fetch_optional(&mut *connection).await? {
                Some(row) => Ok(entity!(&row)),
                None => Ok(None),
            }
        })
    }

    pub(super) async fn rows(&mut self, kind: Kind, filter: &Filter) -> Result<Vec<Row>, StoreError> {
        let owned = if filter.owner.is_some() { " AND owner = $4" } else { "" };
        let tagged: String = (0..filter.tags.len()).map(|n| format!(" AND tags LIKE ${} ESCAPE '\\'", n + 5)).collect();
        let select = format!(
            "SELECT {COLUMNS} FROM entities WHERE kind = $1 AND name > $2{owned}{tagged} ORDER BY name LIMIT $3"
        );
        let after = filter.after.as_deref().unwrap_or_default();
        on!(self, connection => {
            let mut query = sqlx::query(AssertSqlSafe(select)).bind(kind.word()).bind(after);
            query = query.bind(i64::from(filter.limit)).bind(filter.owner.as_deref().unwrap_or_default());
            for tag in &filter.tags {
                query = query.bind(tag_pattern(tag));
            }
            let rows = query.fetch_all(&mut *connection).await?;
            let mut found = Vec::with_capacity(rows.len());
            for row in &rows {
                found.extend(entity!(row));
            }
            Ok(found)
        })
    }
}

/// Between line feeds, which no tag has: a tag is found with one on either side.
pub(super) fn joined_tags(tags: &[String]) -> String {
    match tags {
        [] => String::new(),
        tags => format!("\n{}\n", tags.join("\n")),
    }
}

pub(super) fn split_tags(stored: &str) -> Vec<String> {
    stored.split('\n').filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// Between two rows.
const SILENCE: Duration = Duration::from_secs(30);

fn tag_pattern(tag: &str) -> String {
    let literal = tag.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%\n{literal}\n%")
}
