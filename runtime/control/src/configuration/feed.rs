//! Follows the database from revision to revision. Level-triggered and idempotent: losing every hint costs
//! latency only.

mod reading;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tollgate_store::database::{Database, Replica, StoreError};

use super::known::Known;
use super::vault::Vault;

/// How closely a database is followed.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// How often it is asked without a hint. Default 5 s.
    pub update_frequency: Duration,
    /// How long a hinted revision is waited for before it is read: for databases whose replicas need it.
    /// Default 0.
    pub update_propagation: Duration,
    /// How often the digest of all rows here is compared with the database's. Default 1 h.
    pub verify_interval: Duration,
}

impl Default for FeedOptions {
    fn default() -> Self {
        FeedOptions {
            update_frequency: Duration::from_secs(5),
            update_propagation: Duration::ZERO,
            verify_interval: Duration::from_secs(3600),
        }
    }
}

/// A node's way of following. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// `None`: the database is in this node's own file.
    replica: Option<Replica>,
    vault: Arc<Vault>,
    options: FeedOptions,
    known: watch::Sender<Arc<Known>>,
    /// The number of the revision that this node serves by.
    applied: watch::Sender<u64>,
    /// The newest revision that somebody spoke of.
    hinted: AtomicU64,
    /// Look now.
    wake: Notify,
    anew: AtomicBool,
    contact: Mutex<Contact>,
}

/// How the database was met last.
#[derive(Clone, Debug)]
struct Contact {
    /// When what is known here was last certain to be all there is.
    current_at: Option<Instant>,
    /// Why it can't be asked now, and since when.
    away: Option<(String, Instant)>,
    loads: u64,
    steps: u64,
}

/// How a node stands to its database.
#[derive(Clone, Debug)]
pub struct FeedStatus {
    pub revision: u64,
    pub applied: u64,
    /// Since when nothing can be said of what is newer; `None` while the database can be asked.
    pub stale_for: Option<Duration>,
    pub problem: Option<String>,
    /// Whole loads, the first one included.
    pub loads: u64,
    /// Revisions followed one by one.
    pub steps: u64,
}

impl Feed {
    /// `known`: what the node begins with. Nothing is followed before [`Feed::run`].
    pub(super) fn new(
        database: Database,
        replica: Option<Replica>,
        vault: Arc<Vault>,
        options: FeedOptions,
        known: Known,
    ) -> Feed {
        let contact = Contact { current_at: None, away: None, loads: 0, steps: 0 };
        let inner = Inner {
            database,
            replica,
            vault,
            options,
            hinted: AtomicU64::new(known.revision.number),
            known: watch::Sender::new(Arc::new(known)),
            applied: watch::Sender::new(0),
            wake: Notify::new(),
            anew: AtomicBool::new(false),
            contact: Mutex::new(contact),
        };
        Feed { inner: Arc::new(inner) }
    }

    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.inner.known.borrow())
    }

    pub fn subscribe(&self) -> watch::Receiver<Arc<Known>> {
        self.inner.known.subscribe()
    }

    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Where this node's own copy is read, also while the database is away.
    pub fn local(&self) -> &Database {
        self.inner.replica.as_ref().map_or(&self.inner.database, Replica::database)
    }

    pub fn vault(&self) -> &Arc<Vault> {
        &self.inner.vault
    }

    /// There may be something new: this revision, or who knows what.
    pub fn hint(&self, revision: Option<u64>) {
        let known = self.inner.known.borrow().revision.number;
        if revision.is_none_or(|revision| revision > known) {
            self.inner.hinted.fetch_max(revision.unwrap_or(0), Ordering::Relaxed);
            self.inner.wake.notify_one();
        }
    }

    /// Forget what is known here, and load all of it.
    pub fn load_anew(&self) {
        self.inner.anew.store(true, Ordering::Relaxed);
        self.inner.wake.notify_one();
    }

    /// This node serves by that revision.
    pub fn applied(&self, revision: u64) {
        self.inner.applied.send_if_modified(|applied| std::mem::replace(applied, revision) != revision);
    }

    /// Of what this node serves by.
    pub fn watch_applied(&self) -> watch::Receiver<u64> {
        self.inner.applied.subscribe()
    }

    /// Whether this node serves by that revision or a later one, now or within that time.
    pub async fn wait_applied(&self, revision: u64, patience: Duration) -> bool {
        let mut applied = self.inner.applied.subscribe();
        let waited = tokio::time::timeout(patience, applied.wait_for(|applied| *applied >= revision)).await;
        matches!(waited, Ok(Ok(_)))
    }

    pub fn status(&self) -> FeedStatus {
        let contact = self.contact().clone();
        let stale_for = contact.away.as_ref().map(|(_, since)| contact.current_at.unwrap_or(*since).elapsed());
        FeedStatus {
            revision: self.inner.known.borrow().revision.number,
            applied: *self.inner.applied.borrow(),
            stale_for,
            problem: contact.away.map(|(problem, _)| problem),
            loads: contact.loads,
            steps: contact.steps,
        }
    }

    /// Follows for ever.
    pub async fn run(&self) {
        let mut verified = Instant::now();
        let mut failures = 0;
        loop {
            if verified.elapsed() >= self.inner.options.verify_interval {
                verified = Instant::now();
                self.note(self.verify().await);
            }
            let outcome = self.catch_up().await;
            let is_behind = outcome.as_ref().is_ok_and(|()| self.is_behind());
            failures = if outcome.is_ok() { 0 } else { failures + 1 };
            self.note(outcome);
            let pause = match failures {
                0 if is_behind => BEHIND,
                0 => self.inner.options.update_frequency,
                failures => backoff(failures).min(self.inner.options.update_frequency),
            };
            tokio::select! {
                () = self.inner.wake.notified() => {
                    if failures > 0 {
                        // Hints do not bring a database back.
                        tokio::time::sleep(backoff(failures)).await;
                    }
                    tokio::time::sleep(self.inner.options.update_propagation).await;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Somebody spoke of a revision that can't be seen yet: what is read lags.
    fn is_behind(&self) -> bool {
        self.inner.hinted.load(Ordering::Relaxed) > self.inner.known.borrow().revision.number
    }

    /// How a look at the database ended.
    pub(super) fn note(&self, outcome: Result<(), StoreError>) {
        let mut contact = self.contact();
        match outcome {
            Ok(()) => {
                contact.current_at = Some(Instant::now());
                if contact.away.take().is_some() {
                    tracing::info!("the database can be asked again");
                }
            }
            Err(error) => {
                let problem = error.to_string();
                match &mut contact.away {
                    Some((known, _)) => *known = problem,
                    None => {
                        tracing::warn!(error = problem, "the database can't be asked, this node serves what it has");
                        contact.away = Some((problem, Instant::now()));
                    }
                }
            }
        }
    }

    fn contact(&self) -> MutexGuard<'_, Contact> {
        self.inner.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_PAUSE * 2u32.saturating_pow((failures - 1).min(10))
}

/// Between two looks for a revision that was hinted at.
const BEHIND: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
