//! Redis in trouble.

use std::time::{Duration, Instant};

use tollgate_control::bus::{Bus, Hint};
use tollgate_tests::{FaultyRedis, Redis, RedisFaults, eventually, until};

use crate::pair::{Pair, SOON, options};

/// How soon a silent server has to be noticed.
const SILENT: Duration = Duration::from_secs(5);

async fn notices(bus: &Bus, timeout: Duration) {
    eventually(timeout, async || match bus.state() {
        state if !state.connected => Ok(()),
        state => Err(format!("{state:?}")),
    })
    .await;
}

#[tokio::test]
async fn killed_and_back_it_says_look_now() {
    let mut redis = Redis::start().await;
    let mut pair = Pair::at(&redis.url()).await;
    pair.says().await;
    redis.kill().await;
    notices(&pair.other, SOON).await;
    assert_eq!(pair.heard.borrow_and_update().unwrap().revision, Some(2), "nothing was missed yet");
    redis.restart().await;
    let look = pair.heard.wait_for(|hint| *hint == Some(Hint { revision: None }));
    tokio::time::timeout(SOON, look).await.expect("a hint to look").unwrap();
    pair.are_connected(SOON).await;
    pair.says().await;
    let state = pair.other.state();
    assert_eq!((state.reconnects, state.last_error), (1, None));
}

#[tokio::test]
async fn one_hint_is_left_of_ten_thousand_said_while_it_was_away() {
    let mut redis = Redis::start().await;
    let mut pair = Pair::at(&redis.url()).await;
    redis.kill().await;
    notices(&pair.one, SOON).await;
    notices(&pair.other, SOON).await;
    let begun = Instant::now();
    for revision in 1..=10_000 {
        pair.one.publish(revision);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "nobody waits: {:?}", begun.elapsed());
    redis.restart().await;
    until(SOON, "the one says it", async || pair.one.state().published == 1).await;
    pair.are_connected(SOON).await;
    pair.one.publish(10_001);
    let newest = pair.heard.wait_for(|hint| hint.is_some_and(|hint| hint.revision == Some(10_001)));
    tokio::time::timeout(SOON, newest).await.expect("a hint").unwrap();
    until(SOON, "two were said in all", async || pair.one.state().published == 2).await;
    assert!(pair.other.state().received <= 2);
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed_and_holds_up_nobody() {
    let redis = Redis::start().await;
    let mut pair = Pair::at(&redis.url()).await;
    redis.pause();
    let begun = Instant::now();
    pair.one.publish(5);
    assert!(begun.elapsed() < Duration::from_millis(100));
    notices(&pair.one, SILENT).await;
    notices(&pair.other, SILENT).await;
    println!("noticed after {:?}", begun.elapsed());
    assert!(pair.other.state().last_error.is_some_and(|error| error.contains("no answer in time")));
    pair.heard.mark_unchanged();
    redis.go_on();
    tokio::time::timeout(SOON, pair.heard.changed()).await.expect("a hint to look").unwrap();
    pair.are_connected(SOON).await;
    pair.says().await;
}

#[tokio::test]
async fn a_black_hole_is_noticed() {
    let redis = Redis::start().await;
    let faulty = FaultyRedis::start(redis.address, RedisFaults::default()).await;
    let mut pair = Pair::connected(options(&redis.url()), options(&faulty.url())).await;
    pair.says().await;
    faulty.swallow(true);
    notices(&pair.other, SILENT).await;
    assert!(pair.one.state().connected);
    faulty.swallow(false);
    pair.are_connected(SOON).await;
    pair.says().await;
}

#[tokio::test]
async fn lost_doubled_late_and_reordered_messages_hide_nothing_in_the_end() {
    let redis = Redis::start().await;
    let faults = RedisFaults {
        drop: 0.3,
        double: 0.3,
        delay: 0.3,
        longest: Duration::from_millis(50),
        reorder: 0.2,
        cut: 0.01,
        seed: 7,
    };
    let faulty = FaultyRedis::start(redis.address, faults).await;
    let mut pair = Pair::connected(options(&redis.url()), options(&faulty.url())).await;
    for revision in 1..=300 {
        pair.one.publish(revision);
        until(SOON, "it was said", async || pair.one.state().last_error.is_none()).await;
        until(SOON, "it was taken", async || pair.one.state().published >= revision).await;
    }
    let state = pair.other.state();
    assert!(faulty.messages() > 100, "{}", faulty.messages());
    assert!((50..600).contains(&state.received), "{state:?}");
    println!("of 300 hints {} came, over {} connections", state.received, state.reconnects + 1);
    faulty.set(RedisFaults::default());
    faulty.cut();
    pair.are_connected(SOON).await;
    pair.understand_each_other(SOON).await;
}

#[tokio::test]
async fn odd_messages_change_nothing() {
    let redis = Redis::start().await;
    let mut pair = Pair::at(&redis.url()).await;
    for odd in ["", "1", "1 99", "1 -99 x", "2 99 x", "1 99 x y", "{\"revision\":99}", "1 99999999999999999999 x"] {
        redis.cli(&["PUBLISH", "tollgate:test:changes", odd]).await;
    }
    let large = format!("1 99 {}", "x".repeat(100_000));
    redis.cli(&["PUBLISH", "tollgate:test:changes", &large]).await;
    pair.says().await;
    let state = pair.other.state();
    assert_eq!((state.received, state.reconnects), (1, 0));
}
