//! This node's part in its cluster: the database that it follows and writes, the bus that tells it when, and what it
//! tells the others.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use tollgate_control::bus::Bus;
use tollgate_control::configuration::{self, Beginning, Feed, OpenOptions};
use tollgate_control::writer::{SettingsCheck, Writer, first_token};
use tollgate_keys::Pepper;
use tollgate_store::database::Heartbeat;

use crate::config::{DatabaseConfig, NodeConfig};

pub struct Membership {
    pub feed: Feed,
    pub bus: Bus,
    writer: Writer,
    /// Of this process.
    node_id: String,
    name: String,
    keep_revisions: u64,
    token_file: PathBuf,
}

impl Membership {
    /// Opens the database, or what this node has of it.
    pub async fn open(
        config: &NodeConfig,
        database: &DatabaseConfig,
        settings: Arc<dyn SettingsCheck>,
    ) -> anyhow::Result<Membership> {
        let is_shared = database.options.url.is_shared();
        let keyring = config.cluster.keyring(&config.data, is_shared)?;
        let options = OpenOptions {
            database: database.options.clone(),
            replica: config.data.join("replica.db"),
            keyring,
            feed: database.feed,
        };
        let Beginning { feed, cluster_id } =
            configuration::open(options).await.with_context(|| format!("store.url {}", config.store.shown()))?;
        let node_id = configuration::process_id();
        let bus = match &config.redis {
            Some(redis) => Bus::start(redis.options.clone(), &cluster_id, &node_id),
            None => Bus::none(),
        };
        let announcing = bus.clone();
        let announce =
            Box::new(move |revision: &tollgate_store::database::Revision| announcing.publish(revision.number));
        let writer = Writer::new(feed.clone(), config.name.clone(), settings, announce);
        Ok(Membership {
            feed,
            bus,
            writer,
            node_id,
            name: config.name.clone(),
            keep_revisions: database.keep_revisions,
            token_file: config.data.join("admin.token"),
        })
    }

    /// What keys are hashed with.
    pub fn pepper(&self) -> Arc<Pepper> {
        self.feed.vault().pepper()
    }

    /// The node is this process's: from here on it writes. A predecessor may take a moment to let go.
    pub async fn take_over(&self, admin: &OnceLock<Writer>) -> anyhow::Result<()> {
        self.feed.database().take_over(PREDECESSOR).await?;
        match first_token(&self.writer, &self.token_file).await {
            Ok(true) => tracing::info!(file = %self.token_file.display(), "made a token for the admin API"),
            Ok(false) => {}
            // Whoever has none can do nothing; everything else goes on.
            Err(error) => tracing::warn!(%error, "no first token for the admin API"),
        }
        let _ = admin.set(self.writer.clone());
        Ok(())
    }

    /// Whatever keeps a predecessor: traffic is this process's already.
    async fn take_over_in_the_end(&self, admin: &OnceLock<Writer>) {
        while admin.get().is_none() {
            if let Err(error) = self.take_over(admin).await {
                tracing::warn!(%error, "the admin API can't write yet");
            }
        }
    }

    /// Lets a successor write.
    pub fn let_go(&self) {
        self.feed.database().let_go();
    }

    /// For ever: follows, tells, tidies up. Until the database is this process's to write, the admin API is answered
    /// with 503.
    pub async fn keep_up(&self, admin: &OnceLock<Writer>) {
        let node = Heartbeat {
            id: self.node_id.clone(),
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: 0,
        };
        let writing = self.take_over_in_the_end(admin);
        tokio::join!(writing, self.feed.run(), self.feed.beat(node), self.hear(), self.prune());
    }

    /// Says goodbye, so that nobody waits for this node.
    pub async fn leave(&self) {
        let goodbye = self.feed.database().left(&self.node_id);
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    /// Hints of others.
    async fn hear(&self) {
        let mut hints = self.bus.hints();
        while hints.changed().await.is_ok() {
            let hint = *hints.borrow_and_update();
            self.feed.hint(hint.and_then(|hint| hint.revision));
        }
        std::future::pending::<()>().await;
    }

    /// Drops what of the history nobody needs any more. All nodes may do it: it is the same for all.
    async fn prune(&self) {
        loop {
            tokio::time::sleep(PRUNE).await;
            if let Err(error) = self.feed.database().prune(self.keep_revisions).await {
                tracing::debug!(%error, "the history can't be pruned now");
            }
        }
    }
}

const PRUNE: Duration = Duration::from_secs(600);
const PREDECESSOR: Duration = Duration::from_secs(10);
const GOODBYE: Duration = Duration::from_secs(1);
