//! One look at the database.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tollgate_store::database::{Revision, Row, Since, Step, StoreError};

use super::Feed;
use crate::configuration::known::Known;

impl Feed {
    /// Brings what is known here to what can be read now.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        if self.inner.anew.swap(false, Ordering::Relaxed) {
            return self.load("it was asked for").await.inspect_err(|_| self.inner.anew.store(true, Ordering::Relaxed));
        }
        let known = self.known();
        match self.inner.database.since(&known.revision).await? {
            Since::Steps(steps) if steps.is_empty() => self.forget_impossible_hint().await,
            Since::Steps(steps) => self.take(&known, steps).await,
            Since::Anew => self.load("its history does not lead on from here").await,
        }
    }

    async fn take(&self, known: &Known, steps: Vec<Step>) -> Result<(), StoreError> {
        if let Some(replica) = &self.inner.replica {
            match replica.apply(&steps).await {
                // Whatever it has, it is not what is known here.
                Err(StoreError::Broken(_)) => return self.load("the replica did not fit what came").await,
                applied => applied?,
            }
        }
        let reload = steps.iter().any(|step| step.action == RELOAD);
        let next = steps.iter().fold(known.clone(), |known, step| known.follow(step, &self.inner.vault));
        self.contact().steps += steps.len() as u64;
        self.publish(next);
        match reload {
            true => self.load("all nodes were asked to").await,
            false => Ok(()),
        }
    }

    /// Reads everything.
    async fn load(&self, reason: &'static str) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        let revision = self.inner.database.load(&mut |row| rows.push(row)).await?;
        tracing::info!(reason, revision = revision.number, rows = rows.len(), "loading the whole configuration");
        if let Some(replica) = &self.inner.replica {
            let cluster = self.inner.database.cluster().await?;
            replica.replace(&cluster, &revision, &rows).await?;
        }
        let next = self.built(revision, rows).await;
        self.contact().loads += 1;
        // What was hinted at is of another history, perhaps.
        self.inner.hinted.store(next.revision.number, Ordering::Relaxed);
        self.publish(next);
        Ok(())
    }

    /// Aside: with many rows this takes a while.
    async fn built(&self, revision: Revision, rows: Vec<Row>) -> Known {
        let (before, vault) = (self.known(), Arc::clone(&self.inner.vault));
        let building = tokio::task::spawn_blocking(move || before.anew(revision, rows, &vault));
        building.await.expect("building what is known does not panic, and is never cancelled")
    }

    fn publish(&self, next: Known) {
        self.inner.known.send_replace(Arc::new(next));
    }

    /// A hint may speak of a revision that never was: of another history, or made up. What the database itself
    /// has at its head is all there is.
    async fn forget_impossible_hint(&self) -> Result<(), StoreError> {
        if self.is_behind() {
            let head = self.inner.database.head().await?.revision.number;
            let hinted = self.inner.hinted.load(Ordering::Relaxed);
            if hinted > head {
                let _ = self.inner.hinted.compare_exchange(hinted, head, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Compares all rows here with those of the database, and loads them anew if they differ.
    pub(super) async fn verify(&self) -> Result<(), StoreError> {
        let Some(replica) = &self.inner.replica else { return Ok(()) };
        for _ in 0..VERIFY_TRIES {
            let (theirs, expected) = self.inner.database.digest().await?;
            let (ours, found) = replica.database().digest().await?;
            if ours == theirs {
                if found != expected {
                    tracing::error!(revision = ours.number, "the replica is not what the database has");
                    return self.load("the replica was not what the database has").await;
                }
                return Ok(());
            }
            self.catch_up().await?;
        }
        // It changes faster than it can be compared; the next time will do.
        Ok(())
    }
}

/// The action of a revision that makes every node load anew.
pub(crate) const RELOAD: &str = "DELETE /cache";
const VERIFY_TRIES: usize = 5;
