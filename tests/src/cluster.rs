//! Nodes that share a database.

use crate::program::Ran;
use crate::{Admin, Gateway, Setup, modules};

/// Gateways on one database, with one cluster key.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Gateway>,
    /// Of each node, all with the same token.
    pub admins: Vec<Admin>,
    /// What another node of it has to be set up with.
    plan: Plan,
}

#[derive(Clone, Debug)]
struct Plan {
    database: String,
    key: String,
    tables: String,
    store: String,
    plugins: Vec<&'static str>,
}

/// A cluster that is to be started.
#[derive(Debug)]
pub struct ClusterSetup {
    plan: Plan,
}

impl Cluster {
    /// `database`: the URL of an empty Postgres database.
    pub fn on(database: &str) -> ClusterSetup {
        let plan = Plan {
            database: database.to_owned(),
            key: keyring(),
            tables: String::new(),
            store: String::new(),
            plugins: Vec::new(),
        };
        ClusterSetup { plan }
    }

    /// One more node, with the cluster's own settings.
    pub async fn join(&mut self) {
        let node = self.plan.setup().start().await;
        let token = match self.admins.first() {
            Some(admin) => admin.token.clone(),
            None => node.admin().await.token,
        };
        self.admins.push(node.admin_with(&token));
        self.nodes.push(node);
    }

    /// Restarts a node; its listeners have other ports then.
    pub async fn restart(&mut self, node: usize) {
        self.nodes[node].restart().await;
        self.found_again(node);
    }

    /// A node that was started anew listens elsewhere.
    pub fn found_again(&mut self, node: usize) {
        self.admins[node].address = self.nodes[node].admin;
    }
}

impl ClusterSetup {
    pub fn redis(self, url: &str) -> ClusterSetup {
        self.tables(&format!("[redis]\nurl = \"{url}\""))
    }

    /// More tables of each node's file.
    pub fn tables(mut self, text: &str) -> ClusterSetup {
        self.plan.tables.push_str(text);
        self.plan.tables.push('\n');
        self
    }

    /// More lines of `[store]`.
    pub fn store(mut self, lines: &str) -> ClusterSetup {
        self.plan.store.push_str(lines);
        self.plan.store.push('\n');
        self
    }

    pub fn plugins(mut self, names: &[&'static str]) -> ClusterSetup {
        self.plan.plugins.extend(names);
        self
    }

    /// Starts so many nodes, one after the other.
    pub async fn start(self, nodes: usize) -> Cluster {
        let mut cluster = Cluster { nodes: Vec::new(), admins: Vec::new(), plan: self.plan };
        for _ in 0..nodes {
            cluster.join().await;
        }
        cluster
    }
}

impl Plan {
    fn setup(&self) -> Setup {
        Setup::database(&self.database)
            .store(&self.store)
            .variable("TOLLGATE_CLUSTER_KEY", &self.key)
            .node(&self.tables)
            .plugins(&self.plugins)
    }
}

/// As `tollgate keygen` prints it.
fn keyring() -> String {
    let mut command = std::process::Command::new(modules::gateway_binary());
    command.arg("keygen");
    let ran = Ran::of(command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout
}
