//! From a database's address to a node that knows its configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tollgate_keys::{Keyring, Renew, Root};
use tollgate_store::database::{Cluster, Database, DatabaseOptions, Opened, Replica, StoreError};

use super::feed::{Feed, FeedOptions};
use super::known::Known;
use super::vault::Vault;

pub struct OpenOptions {
    pub database: DatabaseOptions,
    /// Where this node's copy of a shared database is.
    pub replica: PathBuf,
    pub keyring: Keyring,
    pub feed: FeedOptions,
}

/// What a node begins with.
pub struct Beginning {
    pub feed: Feed,
    /// A UUID; what the cluster keeps elsewhere goes by it.
    pub cluster_id: String,
}

/// Why there is nothing to begin with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{0}; there is no replica of it on this node yet that it could start from. Start the database, or mend \
         `store.url`"
    )]
    AwayWithoutReplica(StoreError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Key(#[from] tollgate_keys::OpenError),
}

/// Opens the database and the replica, and brings the node as far as it can be brought: to the newest revision,
/// or, while a shared database is away, to what the replica has.
pub async fn open(options: OpenOptions) -> Result<Beginning, OpenError> {
    match options.database.url.is_shared() {
        true => shared(options).await,
        false => own(options).await,
    }
}

/// A database in a file of this node's: it is its own replica.
async fn own(options: OpenOptions) -> Result<Beginning, OpenError> {
    let database = Database::open(&options.database).await?;
    let cluster = database.cluster().await?;
    let vault = Arc::new(Vault::new(&root(&database, &cluster, &options.keyring).await?));
    let known = read(&database, &vault).await?;
    let feed = Feed::new(database, None, vault, options.feed, known);
    Ok(Beginning { feed, cluster_id: cluster.id })
}

async fn shared(options: OpenOptions) -> Result<Beginning, OpenError> {
    let (replica, opened) = Replica::open(&options.replica).await?;
    if let Opened::SetAside { reason, path } = &opened {
        tracing::error!(reason, kept = %path.display(), "the replica of the database is broken, it is loaded anew");
    }
    let remembered = match opened {
        Opened::Good => Some(replica.database().cluster().await?).filter(|cluster| cluster.sealed_root.is_some()),
        Opened::New | Opened::SetAside { .. } => None,
    };
    let database = Database::lazy(&options.database);
    let asked = async {
        database.ready().await?;
        database.cluster().await
    };
    let patience = if remembered.is_some() { MOMENT } else { WHILE };
    match (tokio::time::timeout(patience, asked).await.unwrap_or(Err(StoreError::Silent)), remembered) {
        (Ok(cluster), remembered) => {
            let vault = Arc::new(Vault::new(&root(&database, &cluster, &options.keyring).await?));
            // Of another cluster, or of this one before its root was changed: nothing in it can be used.
            let fits = remembered.is_some_and(|known| known.id == cluster.id && opens_alike(&known, &vault, &options));
            let known = if fits { read(replica.database(), &vault).await? } else { Known::default() };
            let feed = Feed::new(database, Some(replica), vault, options.feed, known);
            if !fits {
                feed.load_anew();
            }
            // A first load takes as long as there is much; a silent database is noticed by itself.
            let patience = if fits { WHILE } else { Duration::MAX };
            match tokio::time::timeout(patience, feed.catch_up()).await.unwrap_or(Err(StoreError::Silent)) {
                Err(error) if fits && error.is_away() => {
                    tracing::warn!("starting from the replica");
                    feed.note(Err(error));
                }
                outcome => outcome?,
            }
            Ok(Beginning { feed, cluster_id: cluster.id })
        }
        (Err(error), Some(cluster)) if error.is_away() => {
            let sealed = cluster.sealed_root.as_deref().unwrap_or_default();
            let (root, _) = options.keyring.open_root(sealed, &cluster.id)?;
            let vault = Arc::new(Vault::new(&root));
            let known = read(replica.database(), &vault).await?;
            tracing::warn!(revision = known.revision.number, "starting from the replica");
            let feed = Feed::new(database, Some(replica), vault, options.feed, known);
            feed.note(Err(error));
            Ok(Beginning { feed, cluster_id: cluster.id })
        }
        (Err(error), None) if error.is_away() => Err(OpenError::AwayWithoutReplica(error)),
        (Err(error), _) => Err(error.into()),
    }
}

/// Whether what the replica remembers is sealed by the same root.
fn opens_alike(remembered: &Cluster, vault: &Vault, options: &OpenOptions) -> bool {
    let sealed = remembered.sealed_root.as_deref().unwrap_or_default();
    options.keyring.open_root(sealed, &remembered.id).is_ok_and(|(root, _)| vault.is_of(&root))
}

/// The root of this cluster; a new one in a new database.
async fn root(database: &Database, cluster: &Cluster, keyring: &Keyring) -> Result<Root, OpenError> {
    let mut sealed = cluster.sealed_root.clone();
    loop {
        match &sealed {
            Some(text) => {
                let (root, renew) = keyring.open_root(text, &cluster.id)?;
                if renew == Renew::Yes && database.is_writable() {
                    // Another node may do the same; either is right.
                    let renewed = keyring.seal_root(&root, &cluster.id);
                    if database.set_root(Some(text), &renewed).await? {
                        tracing::info!("the root of this cluster is sealed by the first key of the keyring now");
                    }
                }
                return Ok(root);
            }
            None => {
                let root = Root::random();
                if database.set_root(None, &keyring.seal_root(&root, &cluster.id)).await? {
                    return Ok(root);
                }
                // Another node was first.
                sealed = database.cluster().await?.sealed_root;
            }
        }
    }
}

async fn read(database: &Database, vault: &Arc<Vault>) -> Result<Known, StoreError> {
    let mut rows = Vec::new();
    let revision = database.load(&mut |row| rows.push(row)).await?;
    let vault = Arc::clone(vault);
    let building = tokio::task::spawn_blocking(move || Known::of_rows(revision, rows, &vault));
    Ok(building.await.expect("building what is known does not panic, and is never cancelled"))
}

/// How long a node that could start without the database waits for it.
const MOMENT: Duration = Duration::from_millis(600);
const WHILE: Duration = Duration::from_secs(30);
