//! Two nodes on one bus.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tollgate_control::bus::{Bus, Hint};
use tollgate_control::redis::{RedisOptions, RedisUrl};
use tollgate_tests::{eventually, until};

pub const SOON: Duration = Duration::from_secs(20);

pub fn options(url: &str) -> RedisOptions {
    RedisOptions::of(RedisUrl::parse(url).unwrap())
}

pub struct Pair {
    pub one: Bus,
    pub other: Bus,
    /// What `other` hears.
    pub heard: watch::Receiver<Option<Hint>>,
    next: u64,
}

impl Pair {
    /// Both are connected, and have looked.
    pub async fn connected(one: RedisOptions, other: RedisOptions) -> Pair {
        let (one, other) = (Bus::start(one, "test", "one"), Bus::start(other, "test", "other"));
        let mut pair = Pair { heard: other.hints(), one, other, next: 1 };
        pair.are_connected(SOON).await;
        assert_eq!(*pair.heard.borrow_and_update(), Some(Hint { revision: None }), "whoever connects is told to look");
        pair
    }

    pub async fn at(url: &str) -> Pair {
        Pair::connected(options(url), options(url)).await
    }

    pub async fn are_connected(&self, timeout: Duration) {
        for bus in [&self.one, &self.other] {
            eventually(timeout, async || match bus.state() {
                state if state.connected => Ok(()),
                state => Err(format!("{state:?}")),
            })
            .await;
        }
    }

    /// One says a revision that was not said before, until the other has heard it; how long that took.
    pub async fn says(&mut self) -> Duration {
        self.next += 1;
        let revision = Some(self.next);
        let said = Instant::now();
        self.one.publish(self.next);
        let hears = self.heard.wait_for(|hint| hint.is_some_and(|hint| hint.revision == revision));
        let heard = tokio::time::timeout(SOON, hears).await.is_ok();
        assert!(heard, "{:?} did not come: {:?} {:?}", revision, self.one.state(), self.other.state());
        said.elapsed()
    }

    /// Until what one says comes: a server that has taken over may not pass on everything at once.
    pub async fn understand_each_other(&mut self, timeout: Duration) {
        let begun = Instant::now();
        until(timeout, "what one says comes to the other", async || {
            self.next += 1;
            let revision = self.next;
            self.one.publish(revision);
            let hears = self.heard.wait_for(|hint| hint.is_some_and(|hint| hint.revision >= Some(revision)));
            tokio::time::timeout(Duration::from_millis(200), hears).await.is_ok()
        })
        .await;
        println!("understood each other again after {:?}", begun.elapsed());
    }
}
