//! This node's part in its cluster: the database that it follows, the bus that tells it when, and what it tells the
//! others.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tollgate_control::bus::{Bus, Hint};
use tollgate_control::configuration::{self, Beginning, Feed, OpenOptions};
use tollgate_keys::Pepper;
use tollgate_store::database::Heartbeat;

use crate::config::{DatabaseConfig, NodeConfig};

pub struct Membership {
    pub feed: Feed,
    pub bus: Bus,
    /// Of this process.
    pub node_id: String,
    name: String,
    keep_revisions: u64,
}

impl Membership {
    /// Opens the database, or what this node has of it.
    pub async fn open(config: &NodeConfig, database: &DatabaseConfig) -> anyhow::Result<Membership> {
        let is_shared = database.options.url.is_shared();
        let keyring = config.cluster.keyring(&config.data, !is_shared)?;
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
        let name = config.name.clone();
        Ok(Membership { feed, bus, node_id, name, keep_revisions: database.keep_revisions })
    }

    /// What keys are hashed with.
    pub fn pepper(&self) -> Arc<Pepper> {
        self.feed.vault().pepper()
    }

    /// For ever: follows, tells, tidies up.
    pub async fn keep_up(&self) {
        let node = Heartbeat {
            id: self.node_id.clone(),
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: 0,
        };
        tokio::join!(self.feed.run(), self.feed.beat(node), self.hear(), self.prune());
    }

    /// Hints of others.
    async fn hear(&self) {
        let mut hints = self.bus.hints();
        while hints.changed().await.is_ok() {
            let hint = hints.borrow_and_update().clone();
            self.feed.hint(hint.and_then(|hint: Hint| hint.revision));
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
