//! `?wait=cluster`: until every node that is alive serves by a revision.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tollgate_store::database::NodeRow;

use crate::configuration::Feed;

/// A node that does not serve by the revision yet.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Behind {
    node: String,
    id: String,
    /// By which it serves.
    revision: u64,
}

/// What came of waiting.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Some node does not serve by it, or nobody could be asked.
    pub(super) is_late: bool,
    pub(super) behind: Vec<Behind>,
}

pub(super) async fn for_cluster(feed: &Feed, revision: u64, timeout: Duration) -> Awaited {
    let deadline = Instant::now() + timeout;
    loop {
        // The write is done, whatever becomes of the database now.
        let looked = feed.database().nodes().await.map(|nodes| behind(nodes, revision));
        match looked {
            Ok(behind) if behind.is_empty() => return Awaited::default(),
            looked if Instant::now() >= deadline => {
                return Awaited { is_late: true, behind: looked.unwrap_or_default() };
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

fn behind(nodes: Vec<NodeRow>, revision: u64) -> Vec<Behind> {
    let late = nodes.into_iter().filter(|node| node.age < ALIVE && node.heartbeat.revision < revision);
    late.map(|NodeRow { heartbeat, .. }| Behind {
        node: heartbeat.name,
        id: heartbeat.id,
        revision: heartbeat.revision,
    })
    .collect()
}

/// Milliseconds: three heartbeats.
const ALIVE: i64 = 3000;
const LOOK: Duration = Duration::from_millis(20);
