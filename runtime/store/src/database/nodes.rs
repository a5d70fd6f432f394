//! What nodes tell each other.

use sqlx::{AssertSqlSafe, Row as _};

use super::backend::{Session, on};
use super::types::{Heartbeat, NodeRow};
use super::{Database, StoreError};

impl Database {
    /// Writes a node's row, with the time by the database's clock.
    pub async fn heartbeat(&self, node: &Heartbeat) -> Result<(), StoreError> {
        self.ready().await?;
        if !self.is_writable() {
            return Ok(());
        }
        let backend = &self.inner.backend;
        let beat = async {
            let mut session = backend.write().await?;
            let upsert = format!(
                "INSERT INTO nodes (id, name, version, revision, seen_at) VALUES ($1, $2, $3, $4, {}) \
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, \
                 revision = excluded.revision, seen_at = excluded.seen_at",
                session.now()
            );
            on!(&mut session, connection => {
                let query = sqlx::query(AssertSqlSafe(upsert)).bind(&node.id).bind(&node.name).bind(&node.version);
                query.bind(node.revision.cast_signed()).execute(&mut *connection).await?;
            });
            session.commit().await
        };
        backend.answered(beat).await
    }

    /// All that were heard of and did not say goodbye, in the order of their names.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        let rows = async |session: &mut Session| {
            let now = session.now();
            let select = format!("SELECT id, name, version, revision, {now} - seen_at FROM nodes ORDER BY name, id");
            on!(session, connection => {
                let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut *connection).await?;
                let mut nodes = Vec::with_capacity(rows.len());
                for row in rows {
                    let revision: i64 = row.try_get(3)?;
                    let heartbeat = Heartbeat {
                        id: row.try_get(0)?,
                        name: row.try_get(1)?,
                        version: row.try_get(2)?,
                        revision: revision.cast_unsigned(),
                    };
                    nodes.push(NodeRow { heartbeat, age: row.try_get(4)? });
                }
                Ok(nodes)
            })
        };
        self.reading(rows).await
    }

    /// A node's goodbye.
    pub async fn left(&self, id: &str) -> Result<(), StoreError> {
        self.ready().await?;
        if !self.is_writable() {
            return Ok(());
        }
        let backend = &self.inner.backend;
        let leave = async {
            let mut session = backend.write().await?;
            on!(&mut session, connection => {
                sqlx::query("DELETE FROM nodes WHERE id = $1").bind(id).execute(&mut *connection).await?;
            });
            session.commit().await
        };
        backend.answered(leave).await
    }
}
