//! A node's copy of a shared database: an SQLite file with the same schema.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sqlx::{Row as _, SqlitePool};

use super::backend::{Backend, Durability, on};
use super::digest::Digest;
use super::types::{Cluster, Origin, Revision, Row, Step};
use super::{Database, DatabaseOptions, DatabaseUrl, StoreError};

/// Checked when it is opened: what it holds is what was written into it.
pub struct Replica {
    database: Database,
}

/// What was found at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    Good,
    /// Nothing.
    New,
    /// A file that can't be used; it was renamed, and the replica is new.
    SetAside {
        reason: String,
        path: PathBuf,
    },
}

impl Replica {
    pub async fn open(path: &Path) -> Result<(Replica, Opened), StoreError> {
        if !path.exists() {
            return Ok((Replica::at(path).await?, Opened::New));
        }
        let reason = match Replica::at(path).await {
            Ok(replica) => match replica.check().await {
                Ok(()) if replica.database.head().await?.revision == Revision::NONE => {
                    return Ok((replica, Opened::New));
                }
                Ok(()) => return Ok((replica, Opened::Good)),
                Err(error) => {
                    replica.database.inner.backend.close().await;
                    error.to_string()
                }
            },
            Err(error) => error.to_string(),
        };
        let aside = set_aside(path).map_err(|error| StoreError::Broken(format!("{}: {error}", path.display())))?;
        Ok((Replica::at(path).await?, Opened::SetAside { reason, path: aside }))
    }

    async fn at(path: &Path) -> Result<Replica, StoreError> {
        let url = DatabaseUrl::Sqlite(path.to_owned());
        let options = DatabaseOptions { url: url.clone(), read_url: None, connections: READERS, timeout: TIMEOUT };
        let backend = Backend::new(&url, &options, Durability::Replica);
        let database = Database::of(backend, None);
        if let Err(error) = database.ready().await {
            // Or it would take away the journals of what comes in its place.
            database.inner.backend.close().await;
            return Err(error);
        }
        Ok(Replica { database })
    }

    /// Waits until the file is let go of.
    pub async fn close(self) {
        self.database.inner.backend.close().await;
    }

    /// To be read; written it is here alone.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Takes over revisions, in one transaction. They must follow on what is here; those that are here already are
    /// passed over: a predecessor that is being replaced follows too, into the same file.
    pub async fn apply(&self, steps: &[Step]) -> Result<(), StoreError> {
        let mut session = self.database.inner.backend.write().await?;
        let head = session.head().await?.revision;
        let mut steps = steps;
        while let Some((first, rest)) = steps.split_first()
            && first.revision.number <= head.number
        {
            if !session.has(&first.revision).await? {
                return Err(StoreError::Broken(format!("the replica has another revision {}", first.revision)));
            }
            steps = rest;
        }
        let Some((first, last)) = steps.first().zip(steps.last()) else { return Ok(()) };
        if first.revision.number != head.number + 1 {
            return Err(StoreError::Broken(format!(
                "the replica is at revision {head}, and what comes is revision {}",
                first.revision
            )));
        }
        let mut digest = session.kept_digest().await?;
        for step in steps {
            for change in &step.changes {
                // By what is here, not by what the step says was there.
                if let Some(before) = session.row(change.kind, &change.name).await? {
                    digest.remove(&before);
                }
                change.after.iter().for_each(|row| digest.add(row));
                let changes = std::slice::from_ref(change);
                session.delete_rows(changes).await?;
                session.put_rows(&change.after.iter().collect::<Vec<_>>()).await?;
            }
            let origin = Origin { author: step.author.clone(), action: step.action.clone(), node: String::new() };
            session.put_step(&step.revision, step.at, &origin, &step.changes).await?;
        }
        session.put_head(&last.revision, digest).await?;
        session.commit().await
    }

    /// Becomes a copy of these rows, in one transaction. The history begins with `revision`.
    pub async fn replace(&self, cluster: &Cluster, revision: &Revision, rows: &[Row]) -> Result<(), StoreError> {
        let mut session = self.database.inner.backend.write().await?;
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        on!(&mut session, connection => {
            for table in ["DELETE FROM entities", "DELETE FROM changes", "DELETE FROM revisions", "DELETE FROM audit"] {
                sqlx::query(table).execute(&mut *connection).await?;
            }
            let update = "UPDATE meta SET cluster = $1, sealed_root = $2";
            sqlx::query(update).bind(&cluster.id).bind(&cluster.sealed_root).execute(&mut *connection).await?;
            let update = "UPDATE head SET oldest = $1";
            sqlx::query(update).bind(revision.number.cast_signed()).execute(&mut *connection).await?;
        });
        session.put_rows(&rows.iter().collect::<Vec<_>>()).await?;
        if *revision != Revision::NONE {
            let origin = Origin { author: String::new(), action: "load".to_owned(), node: String::new() };
            session.put_step(revision, 0, &origin, &[]).await?;
        }
        session.put_head(revision, digest).await?;
        session.commit().await
    }

    /// Whether the file is whole, and its rows are those that were written.
    async fn check(&self) -> Result<(), StoreError> {
        let Backend::Sqlite(file) = &self.database.inner.backend else { return Ok(()) };
        quick_check(file.readers()).await?;
        let mut session = self.database.inner.backend.read().await?;
        let found = session.digest().await?;
        if session.kept().await?.is_empty() && session.head().await?.revision == Revision::NONE {
            // It was made, and nothing was written into it yet.
            return Ok(());
        }
        let expected = session.checked(found).await?;
        match session.kept().await? == expected {
            true => Ok(()),
            false => Err(StoreError::Broken("its rows are not those that were written".to_owned())),
        }
    }
}

impl super::backend::Session {
    async fn kept(&mut self) -> Result<String, StoreError> {
        on!(self, connection => {
            Ok(sqlx::query("SELECT rows_digest FROM meta").fetch_one(&mut *connection).await?.try_get(0)?)
        })
    }

    async fn kept_digest(&mut self) -> Result<Digest, StoreError> {
        let kept = self.kept().await?;
        if kept.is_empty() {
            return Ok(Digest::default());
        }
        let digest = kept.split(' ').next().and_then(Digest::from_hex);
        digest.ok_or_else(|| StoreError::Broken("the digest of its rows is none".to_owned()))
    }

    /// The digest of the rows, and behind it one of that and of what else has to be right: revision and cluster.
    async fn checked(&mut self, digest: Digest) -> Result<String, StoreError> {
        let (head, cluster) = (self.head().await?, self.cluster().await?);
        let digest = digest.to_hex();
        let whole = format!("{digest} {head:?} {cluster:?}");
        Ok(format!("{digest} {}", blake3::hash(whole.as_bytes()).to_hex()))
    }

    async fn put_head(&mut self, revision: &Revision, digest: Digest) -> Result<(), StoreError> {
        let number = revision.number.cast_signed();
        on!(&mut *self, connection => {
            let update = "UPDATE head SET number = $1, id = $2";
            sqlx::query(update).bind(number).bind(&revision.id).execute(&mut *connection).await?;
        });
        let checked = self.checked(digest).await?;
        on!(self, connection => {
            sqlx::query("UPDATE meta SET rows_digest = $1").bind(checked).execute(&mut *connection).await?;
        });
        Ok(())
    }
}

async fn quick_check(pool: &SqlitePool) -> Result<(), StoreError> {
    let found: String = sqlx::query("PRAGMA quick_check(1)").fetch_one(pool).await?.try_get(0)?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Broken(found)) }
}

/// Renames the file and its journals; of those that were set aside before, the newest stays.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let broken = format!("{file}.broken-");
    let mut older: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&broken)))
        .collect();
    older.sort();
    for path in older.iter().rev().skip(1) {
        std::fs::remove_file(path)?;
    }
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let aside = folder.join(format!("{broken}{seconds}"));
    std::fs::rename(path, &aside)?;
    for journal in ["-wal", "-shm"] {
        let journal = folder.join(format!("{file}{journal}"));
        match std::fs::remove_file(journal) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

const READERS: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(30);
