//! Every form of a Redis, and every way to be let in.

use std::time::Duration;

use tollgate_control::bus::Bus;
use tollgate_control::redis::{ClientIdentity, Login, RedisKind, RedisOptions, RedisTls};
use tollgate_tests::{Authority, Redis, RedisCluster, RedisSentinels, eventually};

use crate::pair::{Pair, SOON, options};

#[tokio::test]
async fn a_hint_comes_within_milliseconds_and_not_to_who_said_it() {
    let redis = Redis::start().await;
    let mut pair = Pair::at(&redis.url()).await;
    let mut own = pair.one.hints();
    own.mark_unchanged();
    let mut took = Vec::new();
    for _ in 0..200 {
        took.push(pair.says().await);
    }
    took.sort();
    println!("median {:?}, longest {:?}", took[100], took[199]);
    assert!(took[100] < Duration::from_millis(20), "median {:?}", took[100]);
    assert!(!own.has_changed().unwrap(), "its own messages are none for itself");
    let (one, other) = (pair.one.state(), pair.other.state());
    assert_eq!((one.published, one.received), (200, 0));
    assert_eq!((other.published, other.received), (0, 200));
    assert_eq!(other.kind, Some(RedisKind::Standalone));
    assert_eq!((other.reconnects, other.last_error), (0, None));
}

#[tokio::test]
async fn clusters_of_nodes_that_share_a_redis_do_not_hear_each_other() {
    let redis = Redis::start().await;
    let mut pair = Pair::at(&redis.url()).await;
    let stranger = Bus::start(options(&redis.url()), "another", "one");
    eventually(SOON, async || if stranger.state().connected { Ok(()) } else { Err("not connected") }).await;
    stranger.publish(1000);
    eventually(SOON, async || if stranger.state().published == 1 { Ok(()) } else { Err("not published") }).await;
    redis.cli(&["PUBLISH", "tollgate:test:changes", "anything"]).await;
    pair.says().await;
    assert_eq!(pair.other.state().received, 1);
}

#[tokio::test]
async fn a_password_in_the_url() {
    let redis = Redis::set_up().password("s3cret").start().await;
    Pair::at(&format!("redis://:s3cret@{}/1", redis.address)).await.says().await;
}

#[tokio::test]
async fn a_user_that_may_do_nothing_else() {
    let rules = "user bus on >s3cret resetchannels &tollgate:* -@all +hello +subscribe +publish";
    let redis = Redis::set_up().line(rules).start().await;
    let mut options = options(&redis.url());
    options.login = Some(Login { username: Some("bus".to_owned()), password: "s3cret".into() });
    Pair::connected(options.clone(), options).await.says().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let redis = Redis::set_up().password("right").start().await;
    let bus = Bus::start(options(&format!("redis://:wr0ng@{}", redis.address)), "test", "one");
    let state = eventually(SOON, async || match bus.state() {
        state if state.last_error.is_some() => Ok(state),
        _ => Err("no error yet"),
    })
    .await;
    let told = format!("{state:?}");
    assert!(!state.connected && told.contains("WRONGPASS"), "{told}");
    assert!(!told.contains("wr0ng"), "{told}");
}

#[tokio::test]
async fn a_user_that_may_not_subscribe_is_told() {
    let redis = Redis::set_up().line("user bus on >s3cret resetchannels -@all +hello +subscribe").start().await;
    let bus = Bus::start(options(&format!("redis://bus:s3cret@{}", redis.address)), "test", "one");
    eventually(SOON, async || match bus.state().last_error {
        Some(error) if error.contains("NOPERM") => Ok(()),
        error => Err(format!("{error:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_user_that_may_not_publish_hears_all_the_same() {
    let mute = "user mute on >s3cret resetchannels &tollgate:* -@all +hello +subscribe";
    let redis = Redis::set_up().line(mute).start().await;
    let other = options(&format!("redis://mute:s3cret@{}", redis.address));
    let mut pair = Pair::connected(options(&redis.url()), other).await;
    pair.other.publish(1);
    eventually(SOON, async || match pair.other.state() {
        state if state.connected && state.last_error.is_some() => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;
    pair.says().await;
    assert_eq!(pair.other.state().reconnects, 0);
}

fn secured(redis: &Redis, identity: bool) -> RedisOptions {
    let file = |name: &str| redis.folder().join(name);
    let identity =
        identity.then(|| ClientIdentity { certificate_file: file("client.pem"), key_file: file("client.key") });
    RedisOptions { tls: Some(RedisTls { ca_file: Some(file("ca.pem")), identity }), ..options(&redis.url()) }
}

#[tokio::test]
async fn tls() {
    let redis = Redis::set_up().tls(Authority::new("ours"), false).start().await;
    let options = secured(&redis, false);
    options.tls.as_ref().unwrap().check().unwrap();
    Pair::connected(options.clone(), options).await.says().await;
}

#[tokio::test]
async fn tls_with_client_certificates() {
    let redis = Redis::set_up().tls(Authority::new("ours"), true).password("s3cret").start().await;
    let mut options = secured(&redis, true);
    options.login = Some(Login { username: None, password: "s3cret".into() });
    Pair::connected(options.clone(), options.clone()).await.says().await;

    let bus = Bus::start(secured(&redis, false), "test", "bare");
    eventually(SOON, async || bus.state().last_error.ok_or("no error yet")).await;
    assert!(!bus.state().connected);
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let redis = Redis::set_up().tls(Authority::new("ours"), false).start().await;
    let other = redis.folder().join("other.pem");
    std::fs::write(&other, Authority::new("theirs").pem).unwrap();
    let mut options = secured(&redis, false);
    options.tls = Some(RedisTls { ca_file: Some(other), identity: None });
    let bus = Bus::start(options, "test", "one");
    let error = eventually(SOON, async || bus.state().last_error.ok_or("no error yet")).await;
    assert!(error.contains("certificate"), "{error}");
    assert!(!bus.state().connected);
}

#[tokio::test]
async fn a_unix_socket() {
    let redis = Redis::start().await;
    Pair::at(&format!("redis+unix://{}", redis.socket().display())).await.says().await;
}

#[tokio::test]
async fn a_replica_is_refused() {
    let master = Redis::start().await;
    let follow = format!("replicaof 127.0.0.1 {}", master.address.port());
    let replica = Redis::set_up().line(&follow).start().await;
    let bus = Bus::start(options(&replica.url()), "test", "one");
    let error = eventually(SOON, async || bus.state().last_error.ok_or("no error yet")).await;
    assert!(error.contains("replica"), "{error}");
}

#[tokio::test]
async fn sentinels_lead_to_the_master_and_to_the_next_one() {
    let mut all = RedisSentinels::start().await;
    // A sentinel that is away costs nothing.
    let mut pair = Pair::at(&all.url().replace("://", "://127.0.0.1:1,")).await;
    pair.says().await;
    assert_eq!(pair.other.state().kind, Some(RedisKind::Sentinel));
    let first = pair.other.state().server;
    assert_eq!(first, Some(all.servers[0].address.to_string()));
    all.servers[0].kill().await;
    pair.understand_each_other(SOON).await;
    let second = pair.other.state();
    assert_eq!(second.server, Some(all.servers[1].address.to_string()));
    assert_eq!(second.reconnects, 1);
}

#[tokio::test]
async fn a_master_that_hangs_is_left_for_the_next_one() {
    let all = RedisSentinels::with_passwords(Some("s3cret"), Some("watch")).await;
    let mut options = options(&all.url().replace("://", "://:s3cret@"));
    options.sentinel_login = Some(Login { username: None, password: "watch".into() });
    let mut pair = Pair::connected(options.clone(), options).await;
    all.servers[0].pause();
    pair.understand_each_other(SOON).await;
    assert_eq!(pair.one.state().server, Some(all.servers[1].address.to_string()));
    // Back again, it believes for a moment that it is still the master.
    all.servers[0].go_on();
    pair.says().await;
}

#[tokio::test]
async fn a_cluster_passes_hints_on_and_nodes_may_die() {
    let mut cluster = RedisCluster::start().await;
    // Each knows another node only.
    let seed = |node: usize| options(&format!("redis+cluster://{}", cluster.nodes[node].address));
    let mut pair = Pair::connected(seed(0), seed(4)).await;
    pair.says().await;
    assert_eq!(pair.other.state().kind, Some(RedisKind::Cluster));
    let server = pair.other.state().server.unwrap();
    assert_ne!(pair.one.state().server, Some(server.clone()), "they are at different nodes");
    cluster.node(&server).kill().await;
    pair.understand_each_other(SOON).await;
    assert_ne!(pair.other.state().server, Some(server.clone()), "it found another by the slots map");
    let server = pair.one.state().server.unwrap();
    cluster.node(&server).pause();
    pair.understand_each_other(SOON).await;
    cluster.node(&server).go_on();
}

#[tokio::test]
async fn what_is_no_cluster_says_so() {
    let redis = Redis::start().await;
    let bus = Bus::start(options(&format!("redis+cluster://{}", redis.address)), "test", "one");
    let error = eventually(SOON, async || bus.state().last_error.ok_or("no error yet")).await;
    assert!(error.contains("no Redis Cluster"), "{error}");
}
