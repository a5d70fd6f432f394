//! The bus's connection: made, listened on, written to, watched, made again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use redis::{PushInfo, PushKind, Value};

use super::message;
use super::shared::Shared;
use crate::redis::{Connection, Locator, OnPush, RedisFailure, RedisKind, RedisOptions};

/// For ever.
pub(super) async fn keep(shared: Arc<Shared>, options: RedisOptions, channel: String) {
    let mut pauses = Pauses::new(options.kind());
    let mut locator = Locator::new(options);
    loop {
        let begun = Instant::now();
        let failure = match connect(&shared, &mut locator, &channel).await {
            Ok(connection) => serve(&shared, &mut locator, &connection, &channel).await,
            Err(failure) => failure,
        };
        shared.state.lost(&failure);
        if begun.elapsed() > STEADY {
            pauses.reset();
        }
        tokio::time::sleep(pauses.next()).await;
    }
}

/// A connection that is subscribed.
async fn connect(shared: &Arc<Shared>, locator: &mut Locator, channel: &str) -> Result<Connection, RedisFailure> {
    let connection = locator.connect(&hearing(shared, channel)).await?;
    connection.query::<Value>(redis::cmd("SUBSCRIBE").arg(channel)).await?;
    shared.state.connected(connection.server().to_string());
    // Nobody knows what was said in the meantime.
    shared.look_now();
    Ok(connection)
}

/// Messages are handled as they come, and kept nowhere.
fn hearing(shared: &Arc<Shared>, channel: &str) -> OnPush {
    let (shared, channel) = (Arc::clone(shared), channel.as_bytes().to_vec());
    Arc::new(move |push: PushInfo| {
        if let (PushKind::Message, [Value::BulkString(from), Value::BulkString(payload)]) = (push.kind, &push.data[..])
            && *from == channel
        {
            shared.hear(payload);
        }
    })
}

/// Until the connection is no good any more.
async fn serve(shared: &Shared, locator: &mut Locator, connection: &Connection, channel: &str) -> RedisFailure {
    // Apart from each other: a check that takes long holds up no hint.
    tokio::select! {
        failure = publish(shared, connection, channel) => failure,
        failure = watch(shared, locator, connection) => failure,
        failure = connection.ended() => failure,
    }
}

async fn publish(shared: &Shared, connection: &Connection, channel: &str) -> RedisFailure {
    loop {
        let revision = shared.unsent.newest().await;
        let message = message::write(revision, &shared.sender);
        match connection.query::<Value>(redis::cmd("PUBLISH").arg(channel).arg(message)).await {
            Ok(_) => shared.state.count_published(),
            // It may be heard all the same, so the connection stays.
            Err(failure @ RedisFailure::Refused { .. }) => shared.state.refused(&failure),
            Err(failure) => return failure,
        }
        shared.unsent.remove(revision);
    }
}

async fn watch(shared: &Shared, locator: &mut Locator, connection: &Connection) -> RedisFailure {
    for round in 1u32.. {
        tokio::time::sleep(CHECK).await;
        shared.state.catch_up_log();
        if let Err(failure) = locator.check(connection).await {
            return failure;
        }
        if round % OTHERS == 0
            && let Err(failure) = locator.check_with_others(connection).await
        {
            return failure;
        }
    }
    unreachable!("a number of rounds for a century")
}

/// Pauses between attempts: twice as long each time, by chance up to a half shorter, so that nodes that lost their Redis
/// together do not come back together.
struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    fn new(kind: RedisKind) -> Pauses {
        let longest = match kind {
            RedisKind::Standalone => LONGEST,
            // Another server is about to take over.
            RedisKind::Sentinel | RedisKind::Cluster => LONGEST_FOR_MANY,
        };
        Pauses { next: SHORTEST, longest }
    }

    fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0)).max(SHORTEST)
    }

    fn reset(&mut self) {
        self.next = SHORTEST;
    }
}

/// Between two looks whether the server still answers.
const CHECK: Duration = Duration::from_millis(1500);
/// Every how many looks others are asked as well.
const OTHERS: u32 = 6;
/// An attempt that led to so much was a good one.
const STEADY: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_FOR_MANY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound_and_differ() {
        let mut pauses = Pauses::new(RedisKind::Standalone);
        let taken: Vec<Duration> = (0..20).map(|_| pauses.next()).collect();
        assert_eq!(taken[0], SHORTEST);
        assert!(taken.iter().all(|pause| (SHORTEST..=LONGEST).contains(pause)), "{taken:?}");
        assert!(taken[12..].iter().all(|pause| *pause >= LONGEST / 2), "{taken:?}");
        assert!(taken[12..].windows(2).any(|two| two[0] != two[1]), "{taken:?}");
        pauses.reset();
        assert_eq!(pauses.next(), SHORTEST);
    }
}
