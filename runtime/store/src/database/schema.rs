//! The schema, and how it is brought up to date.

use sqlx::{AssertSqlSafe, Row as _};

use super::StoreError;
use super::backend::{Backend, Session, Types, on};

/// Makes or mends the schema in one transaction. Of several that try at once one does it, the others wait.
pub(super) async fn migrate(backend: &Backend) -> Result<(), StoreError> {
    let mut session = backend.write().await?;
    if let Session::Postgres(transaction) = &mut session {
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut **transaction).await?;
    }
    let found = version(&mut session).await?;
    if found > VERSION {
        return Err(StoreError::NewerSchema { found, known: VERSION });
    }
    if found == VERSION {
        return Ok(());
    }
    for statement in statements(&backend.types()) {
        on!(&mut session, connection => sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await?.rows_affected());
    }
    let cluster = uuid::Uuid::new_v4().to_string();
    let meta = "INSERT INTO meta (one, cluster, schema_version, rows_digest) VALUES (1, $1, $2, $3)";
    // Only replicas keep it.
    let digest = String::new();
    on!(&mut session, connection => {
        sqlx::query(meta).bind(cluster).bind(VERSION).bind(digest).execute(&mut *connection).await?;
        let head = "INSERT INTO head (one, number, id, oldest) VALUES (1, 0, '', 0)";
        sqlx::query(head).execute(&mut *connection).await?;
    });
    session.commit().await
}

/// 0 for a database without our tables.
async fn version(session: &mut Session) -> Result<i64, StoreError> {
    let is_there = match session {
        Session::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'",
        Session::Postgres(_) => {
            "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'meta'"
        }
    };
    on!(session, connection => {
        let tables: i64 = sqlx::query(is_there).fetch_one(&mut *connection).await?.try_get(0)?;
        if tables == 0 {
            return Ok(0);
        }
        Ok(sqlx::query("SELECT schema_version FROM meta").fetch_one(&mut *connection).await?.try_get(0)?)
    })
}

fn statements(types: &Types) -> Vec<String> {
    let Types { text, bytes } = types;
    vec![
        format!(
            "CREATE TABLE meta (one BIGINT PRIMARY KEY CHECK (one = 1), cluster {text} NOT NULL, sealed_root {text}, \
             schema_version BIGINT NOT NULL, rows_digest {text} NOT NULL)"
        ),
        format!(
            "CREATE TABLE head (one BIGINT PRIMARY KEY CHECK (one = 1), number BIGINT NOT NULL, id {text} NOT NULL, \
             oldest BIGINT NOT NULL)"
        ),
        format!(
            "CREATE TABLE entities (kind {text} NOT NULL, name {text} NOT NULL, id {text} NOT NULL, owner {text}, \
             fingerprint {text}, tags {text} NOT NULL, revision BIGINT NOT NULL, created_at BIGINT NOT NULL, \
             updated_at BIGINT NOT NULL, body {text} NOT NULL, PRIMARY KEY (kind, name))"
        ),
        "CREATE UNIQUE INDEX entities_id ON entities (id)".to_owned(),
        "CREATE UNIQUE INDEX entities_fingerprint ON entities (kind, fingerprint)".to_owned(),
        "CREATE INDEX entities_owner ON entities (owner, kind, name) WHERE owner IS NOT NULL".to_owned(),
        format!(
            "CREATE TABLE revisions (number BIGINT PRIMARY KEY, id {text} NOT NULL, made_at BIGINT NOT NULL, \
             author {text} NOT NULL, action {text} NOT NULL)"
        ),
        format!(
            "CREATE TABLE changes (revision BIGINT NOT NULL, position BIGINT NOT NULL, kind {text} NOT NULL, \
             name {text} NOT NULL, image_before {text}, image_after {text}, PRIMARY KEY (revision, position))"
        ),
        format!(
            "CREATE TABLE audit (revision BIGINT PRIMARY KEY, id {text} NOT NULL, made_at BIGINT NOT NULL, \
             author {text} NOT NULL, action {text} NOT NULL, node {text} NOT NULL, entities {text} NOT NULL, \
             entity_count BIGINT NOT NULL)"
        ),
        format!(
            "CREATE TABLE nodes (id {text} PRIMARY KEY, name {text} NOT NULL, version {text} NOT NULL, \
             revision BIGINT NOT NULL, seen_at BIGINT NOT NULL)"
        ),
        format!("CREATE TABLE blobs (digest {text} PRIMARY KEY, bytes {bytes} NOT NULL)"),
    ]
}

pub(super) const VERSION: i64 = 1;
/// "tollgate" in bytes.
const MIGRATION_LOCK: i64 = 0x746f_6c6c_6761_7465;
