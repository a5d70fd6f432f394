//! Which server to talk to, found anew for every connection.

use std::sync::Arc;

use super::cluster::Nodes;
use super::sentinel::{self, Master};
use super::{Address, Connection, OnPush, RedisFailure, RedisOptions, Servers};

/// Finds the server, and notices when it is no longer the right one.
pub struct Locator {
    options: Arc<RedisOptions>,
    /// Of a cluster: the nodes that are known.
    nodes: Nodes,
    /// Of sentinels: what they said last.
    master: Option<Master>,
}

impl Locator {
    pub fn new(options: RedisOptions) -> Locator {
        let nodes = match &options.servers {
            Servers::Cluster(seeds) => Nodes::new(seeds.clone()),
            _ => Nodes::default(),
        };
        Locator { options: Arc::new(options), nodes, master: None }
    }

    /// A connection to one server: the only one, the master, or any node of the cluster that is well.
    ///
    /// # Errors
    /// Why there is none now.
    pub async fn connect(&mut self, on_push: &OnPush) -> Result<Connection, RedisFailure> {
        match &self.options.servers {
            Servers::Standalone(address) => master_at(&self.options, address, on_push).await,
            Servers::Sentinel { sentinels, master } => {
                let found = sentinel::master(&self.options, sentinels, master).await?;
                let connection = master_at(&self.options, &found.address, on_push).await?;
                self.master = Some(found);
                Ok(connection)
            }
            Servers::Cluster(_) => self.nodes.connect(&self.options, on_push).await,
        }
    }

    /// Whether the server of this connection answers, and still is the one to talk to.
    ///
    /// # Errors
    /// Why the connection should be given up.
    pub async fn check(&mut self, connection: &Connection) -> Result<(), RedisFailure> {
        let reaches_all = connection.reaches_all().await?;
        match &self.options.servers {
            Servers::Cluster(_) => self.nodes.check(&self.options, connection).await,
            _ if !reaches_all => Err(RedisFailure::Replica { server: connection.server().clone() }),
            _ => Ok(()),
        }
    }

    /// Whether somebody else knows of a server that has taken over from the one of this connection, which may not know
    /// yet. Costs connections of its own; who can't be asked says nothing.
    ///
    /// # Errors
    /// As [`Locator::check`].
    pub async fn check_with_others(&mut self, connection: &Connection) -> Result<(), RedisFailure> {
        let Servers::Sentinel { sentinels, master } = &self.options.servers else { return Ok(()) };
        let Ok(found) = sentinel::master(&self.options, sentinels, master).await else { return Ok(()) };
        let is_newer = self.master.as_ref().is_none_or(|known| found.epoch > known.epoch);
        match is_newer && found.address != *connection.server() {
            true => Err(RedisFailure::Moved { server: connection.server().clone() }),
            false => Ok(()),
        }
    }
}

async fn master_at(
    options: &Arc<RedisOptions>,
    address: &Address,
    on_push: &OnPush,
) -> Result<Connection, RedisFailure> {
    let login = options.login.as_ref();
    let connection = Connection::open(options, address, login, options.database, Some(Arc::clone(on_push))).await?;
    match connection.reaches_all().await? {
        true => Ok(connection),
        false => Err(RedisFailure::Replica { server: address.clone() }),
    }
}
