//! Changes on their way through a cluster: from the answer of one node to the effect on all.

use std::time::{Duration, Instant};

use serde_json::json;
use tollgate_tests::{Cluster, Connection, Origin, Postgres, Redis, eventually, get, proof, scaled};

/// Writes on one node after the other, and measures from the answer until every node serves by it.
async fn propagation(cluster: &Cluster, changes: usize) -> Vec<Duration> {
    let origin = Origin::start();
    cluster.admins[0].puts("/services/origin", json!({ "url": origin.url() })).await;
    let mut connections = Vec::new();
    for node in &cluster.nodes {
        connections.push(Connection::open(node.proxy).await.expect("a connection"));
    }
    let mut times = Vec::new();
    for n in 0..changes {
        let admin = &cluster.admins[n % cluster.admins.len()];
        let (path, route) = (format!("/p{n}"), json!({ "service": "origin", "paths": [format!("=/p{n}")] }));
        admin.puts("/routes/changing", route).await;
        let answered = Instant::now();
        for connection in &mut connections {
            eventually(Duration::from_secs(20), async || {
                match connection.send(get(&path)).await.map(|reply| reply.status) {
                    Ok(200) => Ok(()),
                    other => Err(format!("{path} answers {other:?}")),
                }
            })
            .await;
        }
        times.push(answered.elapsed());
    }
    times.sort_unstable();
    times
}

fn shown(times: &[Duration]) -> String {
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    format!("{} changes, p50 {:.1?}, p99 {:.1?}, longest {:.1?}", times.len(), at(50), at(99), at(100))
}

#[tokio::test]
async fn with_redis_a_change_is_everywhere_at_once() {
    let (postgres, redis) = (Postgres::start().await, Redis::start().await);
    let cluster = Cluster::on(&postgres.database().await).redis(&redis.url()).start(3).await;
    let times = propagation(&cluster, scaled(30, 1000)).await;
    proof!(4, 1, "from the answer to the effect on all of three nodes, with Redis", "{}", shown(&times));
    // A bound that only a lost hint breaks: then it takes five seconds.
    assert!(times[times.len() / 2] < Duration::from_secs(2), "{}", shown(&times));
}

#[tokio::test]
async fn without_redis_a_change_is_everywhere_within_the_update_frequency() {
    let postgres = Postgres::start().await;
    let settings = "db_update_frequency = \"500ms\"";
    let cluster = Cluster::on(&postgres.database().await).store(settings).start(3).await;
    let times = propagation(&cluster, scaled(6, 200)).await;
    proof!(4, 1, "the same without Redis, db_update_frequency 500 ms", "{}", shown(&times));
}

#[tokio::test]
async fn a_write_can_wait_for_the_whole_cluster() {
    let (postgres, redis, origin) = (Postgres::start().await, Redis::start().await, Origin::start());
    let cluster = Cluster::on(&postgres.database().await).redis(&redis.url()).start(3).await;
    cluster.admins[0].puts("/services/origin", json!({ "url": origin.url() })).await;
    for n in 0..scaled(5, 100) {
        let route = json!({ "service": "origin", "paths": [format!("=/w{n}")] });
        let reply = cluster.admins[n % 3].puts("/routes/waited-for?wait=cluster&timeout=20s", route).await;
        assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
        for node in &cluster.nodes {
            assert_eq!(node.get(&format!("/w{n}")).await.status, 200);
        }
    }
}
