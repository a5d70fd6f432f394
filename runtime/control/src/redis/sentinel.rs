//! Asking sentinels for the master. The library's own client asks only the first that answers, which may be one that is
//! cut off and does not know of a fail-over; and waits as long as it likes.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{Address, Connection, RedisFailure, RedisOptions};

/// What sentinels say of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) address: Address,
    /// Of its configuration: every fail-over has a higher one.
    pub(super) epoch: u64,
}

/// Asks all sentinels at once; the newest word of those that answer counts. Does not wait for the rest once most have
/// answered.
pub(super) async fn master(
    options: &Arc<RedisOptions>,
    sentinels: &[Address],
    name: &str,
) -> Result<Master, RedisFailure> {
    let mut asked: FuturesUnordered<_> = sentinels.iter().map(|sentinel| ask(options, sentinel, name)).collect();
    let mut newest: Option<Master> = None;
    let mut failure = None;
    let mut answers = 0;
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(master) => {
                answers += 1;
                newest = newest.filter(|known| known.epoch >= master.epoch).or(Some(master));
            }
            Err(error) => failure = Some(error),
        }
        if answers * 2 > sentinels.len() {
            break;
        }
    }
    newest.ok_or_else(|| failure.unwrap_or_else(|| RedisFailure::UnknownMaster(name.to_owned())))
}

async fn ask(options: &Arc<RedisOptions>, sentinel: &Address, name: &str) -> Result<Master, RedisFailure> {
    let connection = Connection::open(options, sentinel, options.sentinel_login.as_ref(), 0, None).await?;
    let known: HashMap<String, String> = match connection.query(redis::cmd("SENTINEL").arg("MASTER").arg(name)).await {
        Err(RedisFailure::Refused { reason, .. }) if reason.contains("No such master") => {
            return Err(RedisFailure::UnknownMaster(name.to_owned()));
        }
        answer => answer?,
    };
    let port = known.get("port").and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    match (known.get("ip"), port) {
        (Some(host), Some(port)) if !host.is_empty() => Ok(Master {
            address: Address::Tcp { host: host.clone(), port },
            epoch: known.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0),
        }),
        _ => Err(RedisFailure::Refused { server: sentinel.clone(), reason: "its answer has no address".to_owned() }),
    }
}
