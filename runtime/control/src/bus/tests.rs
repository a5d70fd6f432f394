use std::time::Duration;

use super::*;
use crate::redis::RedisUrl;

fn shared() -> Shared {
    Shared::new(None, Sender::new("me"))
}

#[test]
fn what_it_says_itself_and_what_is_odd_it_does_not_hear() {
    let shared = shared();
    let mut hints = shared.hints.subscribe();
    shared.hear(message::write(7, &Sender::new("me")).as_bytes());
    shared.hear(b"FLUSHALL");
    assert!(!hints.has_changed().unwrap());
    assert_eq!(shared.state.now().received, 0);
    shared.hear(message::write(7, &Sender::new("you")).as_bytes());
    assert_eq!(*hints.borrow_and_update(), Some(Hint { revision: Some(7) }));
    assert_eq!(shared.state.now().received, 1);
}

#[test]
fn a_message_that_was_overtaken_hides_nothing() {
    let shared = shared();
    for revision in [5, 7, 6] {
        shared.hear(message::write(revision, &Sender::new("you")).as_bytes());
    }
    assert_eq!(*shared.hints.borrow(), Some(Hint { revision: Some(7) }));
    shared.look_now();
    assert_eq!(*shared.hints.borrow(), Some(Hint { revision: None }));
    shared.hear(message::write(2, &Sender::new("you")).as_bytes());
    assert_eq!(*shared.hints.borrow(), Some(Hint { revision: Some(2) }));
}

#[tokio::test]
async fn only_the_newest_revision_waits() {
    let shared = shared();
    for revision in [3, 9, 4] {
        shared.unsent.add(revision);
    }
    assert_eq!(shared.unsent.newest().await, 9);
    shared.unsent.add(10);
    shared.unsent.remove(9);
    assert_eq!(shared.unsent.newest().await, 10, "it came while 9 was sent");
    shared.unsent.remove(10);
    // A database that was restored counts from lower again.
    shared.unsent.add(2);
    assert_eq!(shared.unsent.newest().await, 2);
}

#[tokio::test]
async fn no_bus_says_and_hears_nothing() {
    let bus = Bus::none();
    bus.publish(1);
    let mut hints = bus.hints();
    let heard = tokio::time::timeout(Duration::from_millis(20), hints.changed()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert_eq!(bus.state().kind, None);
    assert!(!bus.state().connected);
}

#[tokio::test]
async fn a_bus_starts_and_publishes_without_its_redis() {
    let options = RedisOptions::of(RedisUrl::parse("redis+unix:///nowhere/redis.sock").unwrap());
    let bus = Bus::start(options, "cluster", "node");
    for revision in 0..10_000 {
        bus.publish(revision);
    }
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match bus.state().last_error {
                Some(error) => break error,
                None => tokio::task::yield_now().await,
            }
        }
    });
    assert!(told.await.unwrap().contains("/nowhere/redis.sock"));
    assert_eq!(bus.state().published, 0);
}
