//! Finished requests, collected and handed to the plugins that log, off the request's path.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use crate::abi::{LOG_RECORD_SIZE, log_record};
use crate::plugin::PluginUse;
use crate::worker::Worker;

/// What is known of a request once it is over. Durations in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct FinishedRequest<'a> {
    /// Microseconds since the Unix epoch.
    pub started_at: u64,
    pub duration: u64,
    pub upstream_duration: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub status: u16,
    pub attempts: u16,
    pub aborted: bool,
    pub request_id: &'a str,
    pub client_address: &'a str,
    pub method: &'a str,
    pub scheme: &'a str,
    pub host: &'a str,
    pub target: &'a str,
    pub http_version: &'a str,
    pub user_agent: &'a str,
    pub route: &'a str,
    pub service: &'a str,
    pub upstream: &'a str,
    pub consumer: &'a str,
    /// JSON members without braces.
    pub fields: &'a str,
}

/// Records not yet handed over, a queue for each use that logs.
#[derive(Default)]
pub(crate) struct Batches {
    queues: RefCell<HashMap<u32, Queue, RandomState>>,
    dropped: Cell<u64>,
    /// No more records will come: none waits for company.
    flushing: Cell<bool>,
    emptied: Notify,
}

/// Of one use. While it exists a task hands its batches over, one after the other.
struct Queue {
    plugin: Arc<PluginUse>,
    backlog: Backlog,
    /// Told when there is no reason to wait any longer.
    due: Rc<Notify>,
}

/// Batches, oldest first: full ones, and at the end one that may be filling.
#[derive(Default)]
struct Backlog {
    batches: VecDeque<Batch>,
    bytes: usize,
    /// Records and bytes of texts in the last batch: the next one is likely to be as large.
    last: (usize, usize),
}

/// As the ABI has it: records of one size, and the texts that they have slices of.
#[derive(Default)]
struct Batch {
    records: Vec<u8>,
    texts: Vec<u8>,
}

impl Worker {
    /// Queues the record for a use that logs. Handed over when its batch is full or [`LINGER`] old,
    /// and the batch before it is done with.
    pub fn log(self: &Rc<Self>, plugin: &Arc<PluginUse>, request: &FinishedRequest<'_>) {
        let mut queues = self.batches.queues.borrow_mut();
        let queue = queues.entry(plugin.id()).or_insert_with(|| {
            let due = Rc::<Notify>::default();
            tokio::task::spawn_local(Rc::clone(self).hand_over(plugin.id(), Rc::clone(&due)));
            Queue { plugin: Arc::clone(plugin), backlog: Backlog::default(), due }
        });
        if !queue.backlog.push(request) {
            self.batches.dropped.set(self.batches.dropped.get() + 1);
        }
        if queue.backlog.has_full() {
            queue.due.notify_one();
        }
    }

    /// Hands over everything queued, within [`FLUSH`]: before the worker ends.
    pub async fn flush_logs(self: &Rc<Self>) {
        let batches = &self.batches;
        batches.flushing.set(true);
        batches.queues.borrow().values().for_each(|queue| queue.due.notify_one());
        let emptied = async {
            while !batches.queues.borrow().is_empty() {
                batches.emptied.notified().await;
            }
        };
        if tokio::time::timeout(FLUSH, emptied).await.is_err() {
            let left: usize = batches.queues.borrow().values().map(|queue| queue.backlog.records()).sum();
            batches.dropped.set(batches.dropped.get() + left as u64);
            tracing::warn!(count = left, "log records lost, plugins did not take them before the end");
        }
    }

    /// Records that no plugin was given: because it failed, or could not keep up.
    pub fn dropped_records(&self) -> u64 {
        self.batches.dropped.get()
    }

    /// Until nothing came for as long as a record waits.
    async fn hand_over(self: Rc<Self>, id: u32, due: Rc<Notify>) {
        loop {
            if !self.batches.is_due(id) {
                let _ = tokio::time::timeout(LINGER, due.notified()).await;
            }
            let Some((plugin, batch)) = self.batches.next(id) else { return };
            self.give(&plugin, batch).await;
        }
    }

    async fn give(&self, plugin: &Arc<PluginUse>, batch: Batch) {
        let count = batch.count() as u64;
        let outcome = match self.pool(plugin).lease(plugin).await {
            Ok(mut lease) => {
                let outcome = lease.instance().log(plugin, &batch.records, &batch.texts).await;
                if outcome.is_ok() {
                    lease.give_back(plugin);
                }
                outcome
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = outcome {
            self.batches.dropped.set(self.batches.dropped.get() + count);
            let error = self.counted(fault, plugin);
            let Some(unsaid) = error.unsaid else { return };
            tracing::warn!(
                plugin = error.plugin,
                module = error.module,
                kind = error.kind.label(),
                detail = error.detail,
                count,
                unsaid,
                "log records lost"
            );
        }
    }
}

impl Batches {
    fn is_due(&self, id: u32) -> bool {
        let queues = self.queues.borrow();
        self.flushing.get() || queues.get(&id).is_some_and(|queue| queue.backlog.has_full())
    }

    /// The oldest batch; when there is none, the queue is gone.
    fn next(&self, id: u32) -> Option<(Arc<PluginUse>, Batch)> {
        let mut queues = self.queues.borrow_mut();
        let queue = queues.get_mut(&id)?;
        if let Some(batch) = queue.backlog.pop() {
            return Some((Arc::clone(&queue.plugin), batch));
        }
        queues.remove(&id);
        self.emptied.notify_one();
        None
    }
}

impl Backlog {
    /// False when it is too long: the record is dropped.
    fn push(&mut self, request: &FinishedRequest<'_>) -> bool {
        if self.bytes > BACKLOG_BYTES {
            return false;
        }
        if self.batches.back().is_none_or(Batch::is_full) {
            self.batches.push_back(Batch::with_room(self.last));
        }
        let filling = self.batches.back_mut().expect("there is one that is not full");
        let before = filling.bytes();
        filling.push(request);
        self.bytes += filling.bytes() - before;
        true
    }

    fn pop(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.bytes -= batch.bytes();
        self.last = (batch.records.len(), batch.texts.len());
        Some(batch)
    }

    fn has_full(&self) -> bool {
        self.batches.front().is_some_and(Batch::is_full)
    }

    fn records(&self) -> usize {
        self.batches.iter().map(Batch::count).sum()
    }
}

impl Batch {
    fn with_room((records, bytes): (usize, usize)) -> Batch {
        Batch { records: Vec::with_capacity(records), texts: Vec::with_capacity(bytes) }
    }

    fn count(&self) -> usize {
        self.records.len() / LOG_RECORD_SIZE
    }

    fn is_full(&self) -> bool {
        self.count() >= RECORDS || self.texts.len() > TEXT_BYTES
    }

    /// What it takes in memory.
    fn bytes(&self) -> usize {
        self.records.len() + self.texts.len()
    }

    fn push(&mut self, request: &FinishedRequest<'_>) {
        let record = log_record(request, &mut self.texts);
        self.records.extend_from_slice(&record);
    }
}

/// How long a record waits for company.
const LINGER: Duration = Duration::from_millis(100);
/// Records, and bytes of their texts, that make a batch full.
const RECORDS: usize = 128;
const TEXT_BYTES: usize = 32 << 10;
/// Bytes of records that wait, beyond which a plugin that can't keep up loses more of them.
const BACKLOG_BYTES: usize = 1 << 20;
/// How long the end of a worker waits for plugins to take what is queued.
const FLUSH: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_that_seldom_logs_takes_little_memory() {
        let mut backlog = Backlog::default();
        let request = FinishedRequest { target: "/some/path", ..FinishedRequest::default() };
        for _ in 0..3 {
            assert!(backlog.push(&request));
            let batch = backlog.pop().expect("a batch that is not full");
            let taken = batch.records.capacity() + batch.texts.capacity();
            assert!(taken < 2048, "{taken} bytes for one record");
        }
    }

    #[test]
    fn what_waits_is_bounded_and_room_comes_back() {
        let mut backlog = Backlog::default();
        let request = FinishedRequest { target: "/some/path", ..FinishedRequest::default() };
        let queued = (0..100_000).filter(|_| backlog.push(&request)).count();
        assert!(queued > RECORDS && backlog.bytes < BACKLOG_BYTES + 1024, "{queued} of {} bytes", backlog.bytes);
        let first = backlog.pop().expect("a full batch");
        assert_eq!((first.count(), backlog.records()), (RECORDS, queued - RECORDS));
        assert!(backlog.push(&request), "a batch was handed over");
        while backlog.pop().is_some() {}
        assert_eq!(backlog.bytes, 0);
    }
}
