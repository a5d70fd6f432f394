//! The database or Redis is away, comes back, or is not what it was.

use std::time::{Duration, Instant};

use serde_json::json;
use tollgate_tests::{
    Cluster, Connection, FaultyRedis, Load, Origin, Postgres, Redis, RedisFaults, Setup, eventually, get, proof,
    revision, scaled,
};

const PATIENCE: Duration = Duration::from_secs(30);
const KEY: &str = "the-key-of-the-demo-consumer";
const KEYRING: &str = "a:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A keyed route to the origin.
async fn keyed(cluster: &Cluster, origin: &Origin) {
    let admin = &cluster.admins[0];
    let tree = json!({
        "plugins": [{ "name": "key-auth", "grants": { "credentials": true } }],
        "services": [{ "name": "origin", "url": origin.url(), "chain": ["key-auth"] }],
        "routes": [{ "name": "origin", "service": "origin", "paths": ["/"] }],
        "consumers": [{ "name": "demo", "keys": [{ "id": "first", "key": KEY }] }],
    });
    let applied = admin.post("/config?wait=cluster&timeout=20s", tree).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
}

fn load(cluster: &Cluster, node: usize) -> Load {
    Load::steady(cluster.nodes[node].proxy, 4, get("/").header("apikey", KEY))
}

/// All nodes serve by that revision.
async fn converged(cluster: &Cluster, revision: u64) -> Duration {
    let started = Instant::now();
    for node in &cluster.nodes {
        eventually(PATIENCE, async || match node.status().await["database"]["revision"].as_u64() {
            Some(found) if found >= revision => Ok(()),
            found => Err(format!("at {found:?}, not {revision}")),
        })
        .await;
    }
    started.elapsed()
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back_is_not_noticed_by_requests() {
    let (mut postgres, origin) = (Postgres::start().await, Origin::start());
    let settings = "db_update_frequency = \"500ms\"\ntimeout = \"1s\"";
    let cluster = Cluster::on(&postgres.database().await).store(settings).plugins(&["key-auth"]).start(2).await;
    keyed(&cluster, &origin).await;
    let loads = [load(&cluster, 0), load(&cluster, 1)];
    postgres.kill().await;
    let refused = cluster.admins[0].put("/consumers/other", json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after").is_empty()), (503, false), "{}", refused.text());
    for node in &cluster.nodes {
        assert_eq!(node.get("/").await.status, 401, "unknown is unknown without the database too");
        assert_eq!(node.ready().await, Some(200));
        eventually(PATIENCE, async || match node.status().await["database"]["state"].as_str() {
            Some("away") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
    assert_eq!(cluster.admins[1].get("/consumers/demo").await.status, 200, "reads go on");
    postgres.restart().await;
    let written = eventually(PATIENCE, async || {
        let reply = cluster.admins[0].put("/consumers/other", json!({})).await;
        if reply.status == 201 { Ok(reply) } else { Err(reply.text()) }
    })
    .await;
    let took = converged(&cluster, revision(&written)).await;
    let [first, second] = loads.map(Load::stop);
    first.assert_clean();
    second.assert_clean();
    let requests = first.requests + second.requests;
    proof!(
        4,
        3,
        "Postgres killed and back under load, two nodes",
        "{requests} requests, 0 failed; converged after {took:.1?}"
    );
}

#[tokio::test]
async fn a_node_starts_from_its_replica_while_the_database_is_away() {
    let (mut postgres, origin) = (Postgres::start().await, Origin::start());
    let settings = "db_update_frequency = \"500ms\"\ntimeout = \"1s\"";
    let mut cluster = Cluster::on(&postgres.database().await).store(settings).plugins(&["key-auth"]).start(1).await;
    keyed(&cluster, &origin).await;
    postgres.kill().await;
    let started = Instant::now();
    cluster.restart(0).await;
    let took = started.elapsed();
    let node = &cluster.nodes[0];
    assert_eq!(node.send(get("/").header("apikey", KEY)).await.status, 200);
    assert_eq!(node.get("/").await.status, 401);
    assert_eq!(node.status().await["database"]["state"], "away");
    proof!(4, 3, "Postgres down at boot", "stopped and serving again after {took:.1?}");
    postgres.restart().await;
    let written = eventually(PATIENCE, async || {
        let reply = cluster.admins[0].put("/consumers/other", json!({})).await;
        if matches!(reply.status, 200 | 201) { Ok(reply) } else { Err(reply.text()) }
    })
    .await;
    converged(&cluster, revision(&written)).await;
}

#[tokio::test]
async fn a_damaged_replica_is_set_aside_and_loaded_anew() {
    let (postgres, origin) = (Postgres::start().await, Origin::start());
    let mut cluster = Cluster::on(&postgres.database().await).plugins(&["key-auth"]).start(1).await;
    keyed(&cluster, &origin).await;
    cluster.nodes[0].terminate().await;
    // Its log of writes as well: SQLite mends the file from it where the process ended before it was emptied.
    for file in ["data/replica.db", "data/replica.db-wal"] {
        std::fs::write(cluster.nodes[0].path(file), b"not a database at all").expect("the folder is ours");
    }
    cluster.restart(0).await;
    cluster.nodes[0].says("the replica of the database is broken").await;
    assert_eq!(cluster.nodes[0].send(get("/").header("apikey", KEY)).await.status, 200);
}

/// Half of a configuration is worse than none.
#[tokio::test]
async fn without_database_and_replica_a_node_refuses_to_start() {
    let mut postgres = Postgres::start().await;
    let url = postgres.database().await;
    postgres.kill().await;
    let setup = Setup::database(&url).store("timeout = \"1s\"").variable("TOLLGATE_CLUSTER_KEY", KEYRING);
    let ran = tokio::task::spawn_blocking(|| setup.run(|command| command)).await.expect("it does not panic");
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("no replica of it on this node"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_restored_backup_is_loaded_whole() {
    let (mut postgres, origin) = (Postgres::start().await, Origin::start());
    let settings = "db_update_frequency = \"300ms\"\ntimeout = \"1s\"";
    let cluster = Cluster::on(&postgres.database().await).store(settings).plugins(&["key-auth"]).start(2).await;
    keyed(&cluster, &origin).await;
    postgres.kill().await;
    postgres.back_up();
    postgres.restart().await;
    let lost = |n: usize| json!({ "service": "origin", "paths": [format!("/lost-{n}")] });
    for n in 0..3 {
        eventually(PATIENCE, async || {
            let reply = cluster.admins[0].put(&format!("/routes/lost-{n}"), lost(n)).await;
            if matches!(reply.status, 200 | 201) { Ok(()) } else { Err(reply.text()) }
        })
        .await;
    }
    postgres.kill().await;
    postgres.restore();
    postgres.restart().await;
    for admin in &cluster.admins {
        eventually(PATIENCE, async || match admin.get("/routes/lost-0").await.status {
            404 => Ok(()),
            status => Err(format!("the route of the lost history answers {status}")),
        })
        .await;
    }
    let written = cluster.admins[1].puts("/consumers/other", json!({})).await;
    converged(&cluster, revision(&written)).await;
    for node in &cluster.nodes {
        assert_eq!(node.send(get("/").header("apikey", KEY)).await.status, 200);
    }
    proof!(4, 3, "Postgres restored from an older backup", "both nodes have the database's state");
}

#[tokio::test]
async fn redis_may_come_and_go() {
    let (postgres, mut redis, origin) = (Postgres::start().await, Redis::start().await, Origin::start());
    let settings = "db_update_frequency = \"500ms\"";
    let cluster = Cluster::on(&postgres.database().await).redis(&redis.url()).store(settings).plugins(&["key-auth"]);
    let cluster = cluster.start(2).await;
    keyed(&cluster, &origin).await;
    let running = load(&cluster, 1);
    redis.kill().await;
    let written = cluster.admins[0].puts("/consumers/without", json!({})).await;
    let took = converged(&cluster, revision(&written)).await;
    redis.restart().await;
    eventually(PATIENCE, async || match cluster.nodes[1].status().await["database"]["bus"]["state"].as_str() {
        Some("connected") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let written = cluster.admins[0].puts("/consumers/with", json!({})).await;
    converged(&cluster, revision(&written)).await;
    let tally = running.stop();
    tally.assert_clean();
    let requests = tally.requests;
    proof!(
        4,
        3,
        "Redis killed and back",
        "{requests} requests, 0 failed; a change without it everywhere after {took:.1?}"
    );
}

/// Messages are hints: whatever becomes of them, all nodes have the same in the end.
#[tokio::test]
async fn lost_doubled_and_reordered_hints_change_nothing() {
    let (postgres, redis, origin) = (Postgres::start().await, Redis::start().await, Origin::start());
    let faults = RedisFaults {
        drop: 0.3,
        double: 0.3,
        delay: 0.5,
        longest: Duration::from_millis(200),
        reorder: 0.3,
        cut: 0.02,
        seed: 4,
    };
    let faulty = FaultyRedis::start(redis.address, faults).await;
    let settings = "db_update_frequency = \"1s\"";
    let cluster = Cluster::on(&postgres.database().await).redis(&faulty.url()).store(settings).plugins(&["key-auth"]);
    let cluster = cluster.start(3).await;
    keyed(&cluster, &origin).await;
    let mut last = 0;
    let changes = scaled(60, 1000);
    for n in 0..changes {
        let (name, path) = (n % 20, format!("=/n{n}"));
        let route = json!({ "service": "origin", "paths": [path], "tags": [format!("t{n}")] });
        last = revision(&cluster.admins[n % 3].puts(&format!("/routes/r{name}"), route).await);
    }
    let took = converged(&cluster, last).await;
    let mut states = Vec::new();
    for admin in &cluster.admins {
        states.push(admin.get("/config").await.text());
    }
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "all nodes have the same");
    for node in &cluster.nodes {
        let mut connection = Connection::open(node.proxy).await.expect("a connection");
        let call = get(&format!("/n{}", changes - 1)).header("apikey", KEY);
        assert_eq!(connection.send(call).await.expect("an answer").status, 200);
    }
    let messages = faulty.messages();
    proof!(
        4,
        1,
        "a Redis that drops, doubles, delays, reorders, cuts",
        "{changes} changes, {messages} messages, equal after {took:.1?}"
    );
}

#[tokio::test]
async fn a_dump_of_the_database_has_no_secret() {
    let (postgres, origin) = (Postgres::start().await, Origin::start());
    let url = postgres.database().await;
    let cluster = Cluster::on(&url).plugins(&["key-auth"]).start(1).await;
    keyed(&cluster, &origin).await;
    let admin = &cluster.admins[0];
    let secret = "c4n4ry-s3cret";
    let sealed =
        json!({ "module": "elsewhere", "config": { "password": secret, "url": format!("redis://:{secret}@host") } });
    let reply = admin.put("/plugins/sealed", sealed).await;
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
    let route = json!({ "service": "origin", "paths": ["/s"], "headers": { "x-api-key": [secret] } });
    admin.puts("/routes/secret", route).await;
    let made = admin.post("/consumers/demo/keys", json!({ "id": "second" })).await.json();
    let made = made["key"].as_str().expect("the key").to_owned();
    let dump = postgres.dump(url.rsplit('/').next().expect("a name")).await;
    for hidden in [secret, KEY, &made, &admin.token] {
        assert!(!dump.contains(hidden), "{hidden} is in the dump");
    }
    assert!(dump.contains("$sealed") && dump.contains("/s"), "what is no secret can be read");
    for answer in ["/config", "/plugins/sealed", "/routes/secret", "/revisions", "/audit", "/consumers/demo/keys"] {
        assert!(!admin.get(answer).await.text().contains(secret), "{answer}");
    }
    let log = cluster.nodes[0].log();
    assert!(!log.contains(secret) && !log.contains(KEY) && !log.contains(&made));
    proof!(4, 6, "a dump of the database", "no secret, key or token in {} KiB", dump.len() >> 10);
}
