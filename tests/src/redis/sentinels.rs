use std::net::SocketAddr;

use super::{Redis, SOON, free_port};
use crate::eventually;

/// A master, a replica of it, and three sentinels that agree by two. They call it `main`, and notice within half a
/// second when it is dead.
#[derive(Debug)]
pub struct RedisSentinels {
    /// The first one is the master at the start.
    pub servers: Vec<Redis>,
    pub sentinels: Vec<Redis>,
}

impl RedisSentinels {
    pub async fn start() -> RedisSentinels {
        RedisSentinels::with_passwords(None, None).await
    }

    /// Of the servers, and of the sentinels.
    pub async fn with_passwords(servers: Option<&str>, sentinels: Option<&str>) -> RedisSentinels {
        let setup = || servers.iter().fold(Redis::set_up(), |setup, password| setup.password(password));
        let master = setup().start().await;
        let SocketAddr::V4(address) = master.address else { unreachable!("it is bound to 127.0.0.1") };
        let replica = setup().line(&format!("replicaof {} {}", address.ip(), address.port())).start().await;
        let mut watching = Vec::new();
        for _ in 0..3 {
            let mut setup = Redis::set_up()
                .port(free_port())
                .line(&format!("sentinel monitor main {} {} 2", address.ip(), address.port()))
                .line("sentinel down-after-milliseconds main 500")
                .line("sentinel failover-timeout main 3000");
            if let Some(password) = servers {
                setup = setup.line(&format!("sentinel auth-pass main {password}"));
            }
            if let Some(password) = sentinels {
                setup.password = Some(password.to_owned());
                setup = setup.line(&format!("requirepass {password}"));
            }
            watching.push(setup.launch(&["--sentinel"]).await);
        }
        let all = RedisSentinels { servers: vec![master, replica], sentinels: watching };
        all.agreed().await;
        all
    }

    /// Without user and password.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|sentinel| sentinel.address.to_string()).collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }

    /// Until every sentinel knows the replica and the other two.
    async fn agreed(&self) {
        for sentinel in &self.sentinels {
            eventually(SOON, async || {
                let told = sentinel.cli(&["SENTINEL", "MASTER", "main"]).await;
                let lines: Vec<&str> = told.lines().collect();
                let says = |key: &str, value: &str| lines.windows(2).any(|two| two == [key, value]);
                let is_complete =
                    says("num-slaves", "1") && says("num-other-sentinels", "2") && says("flags", "master");
                if is_complete { Ok(()) } else { Err(told) }
            })
            .await;
        }
    }
}
