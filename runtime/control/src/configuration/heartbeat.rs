//! Tells the database what this node serves by.

use std::time::Duration;

use tollgate_store::database::Heartbeat;

use super::feed::Feed;

/// A name for this process that no other has.
pub fn process_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl Feed {
    /// Writes this node's row for ever: at once when it serves by another revision, and now and then.
    pub async fn beat(&self, node: Heartbeat) {
        let mut applied = self.watch_applied();
        // A node that has its database to itself has nobody to tell.
        let interval = if self.database().is_shared() { INTERVAL } else { ALONE };
        loop {
            let revision = *applied.borrow_and_update();
            // While it fails, following fails too, and says so.
            let _ = self.database().heartbeat(&Heartbeat { revision, ..node.clone() }).await;
            let _ = tokio::time::timeout(interval, applied.changed()).await;
        }
    }
}

/// Nodes that were not heard of for three of it are not waited for.
const INTERVAL: Duration = Duration::from_secs(1);
const ALONE: Duration = Duration::from_secs(60);
