//! What every database has to do, asked of both.

mod cases;
mod replica;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tollgate_model::Kind;
use tollgate_store::database::{Database, DatabaseOptions, DatabaseUrl, Edit, NewRow, Origin, Step, StoreError};
use tollgate_tests::Postgres;

/// A new, empty database, and what keeps it there.
struct Bench {
    options: DatabaseOptions,
    _folder: TempDir,
    postgres: Option<Postgres>,
}

impl Bench {
    fn sqlite() -> Bench {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = DatabaseUrl::Sqlite(folder.path().join("gateway.db"));
        Bench { options: options(url), _folder: folder, postgres: None }
    }

    async fn postgres() -> Bench {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let postgres = Postgres::start().await;
        let url = DatabaseUrl::parse(&postgres.database().await).expect("a URL");
        Bench { options: options(url), _folder: folder, postgres: Some(postgres) }
    }

    async fn open(&self) -> Database {
        let database = Database::open(&self.options).await.expect("it opens");
        database.take_over(Duration::from_secs(5)).await.expect("it is ours");
        database
    }
}

fn options(url: DatabaseUrl) -> DatabaseOptions {
    DatabaseOptions { url, read_url: None, connections: 8, timeout: Duration::from_secs(5) }
}

fn replica_file(folder: &TempDir) -> std::path::PathBuf {
    Path::new(folder.path()).join("replica.db")
}

fn origin() -> Origin {
    Origin { author: "tests".to_owned(), action: "PUT /somewhere".to_owned(), node: "here".to_owned() }
}

fn row(kind: Kind, name: &str, body: &str) -> NewRow {
    let (owner, fingerprint) = match kind {
        Kind::Key => (name.split_once('/').map(|(owner, _)| owner.to_owned()), Some(format!("hash of {name}"))),
        _ => (None, None),
    };
    NewRow { kind, name: name.to_owned(), owner, fingerprint, tags: Vec::new(), body: body.to_owned() }
}

fn put(kind: Kind, name: &str, body: &str) -> Edit {
    Edit::Put(row(kind, name, body))
}

fn delete(kind: Kind, name: &str) -> Edit {
    Edit::Delete { kind, name: name.to_owned() }
}

async fn write(database: &Database, edits: &[Edit]) -> Result<Step, StoreError> {
    loop {
        let written = async { database.begin().await?.commit(&origin(), edits).await }.await;
        match written {
            Err(StoreError::Again) => {}
            written => return written,
        }
    }
}
