use super::{Redis, SOON, free_port};
use crate::eventually;
use crate::program::run;

/// Three masters, each with a replica, that notice within a second when one is dead.
#[derive(Debug)]
pub struct RedisCluster {
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    pub async fn start() -> RedisCluster {
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let setup = Redis::set_up()
                .line("cluster-enabled yes")
                .line("cluster-config-file nodes.conf")
                .line("cluster-node-timeout 1000")
                .line(&format!("cluster-port {}", free_port()));
            nodes.push(setup.start().await);
        }
        let addresses: Vec<String> = nodes.iter().map(|node| node.address.to_string()).collect();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(addresses.iter().map(String::as_str));
        arguments.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        let ran = run("redis-cli", &arguments).await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let cluster = RedisCluster { nodes };
        cluster.agreed().await;
        cluster
    }

    /// Names this many of its nodes.
    pub fn url(&self, seeds: usize) -> String {
        let hosts: Vec<String> = self.nodes[..seeds].iter().map(|node| node.address.to_string()).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The one at this address.
    pub fn node(&mut self, address: &str) -> &mut Redis {
        let node = self.nodes.iter_mut().find(|node| node.address.to_string() == address);
        node.unwrap_or_else(|| panic!("no node is at {address}"))
    }

    /// Until every node knows all others, and who serves what.
    async fn agreed(&self) {
        for node in &self.nodes {
            eventually(SOON, async || {
                let told = node.cli(&["CLUSTER", "INFO"]).await + &node.cli(&["CLUSTER", "NODES"]).await;
                let is_complete = told.contains("cluster_state:ok") && told.matches("slave").count() == 3;
                if is_complete { Ok(()) } else { Err(told) }
            })
            .await;
        }
    }
}
