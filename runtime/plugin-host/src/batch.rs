//! Finished requests, collected and handed to the plugins that log, off the request's path.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;

use crate::abi::{LogRecord, Text};
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

/// Batches not yet handed over, one for each use that logs.
#[derive(Default)]
pub(crate) struct Batches {
    open: RefCell<HashMap<u32, Batch, RandomState>>,
    dropped: std::cell::Cell<u64>,
}

struct Batch {
    plugin: Arc<PluginUse>,
    records: Vec<LogRecord>,
    texts: Vec<u8>,
    /// A task is on its way to hand it over.
    scheduled: bool,
}

impl Worker {
    /// Queues the record for a use that logs. Handed over when the batch is full or [`LINGER`] old.
    pub fn log(self: &Rc<Self>, plugin: &Arc<PluginUse>, request: &FinishedRequest<'_>) {
        let mut open = self.batches.open.borrow_mut();
        let batch = open.entry(plugin.id()).or_insert_with(|| Batch::new(plugin));
        if batch.texts.len() > BACKLOG_BYTES {
            self.batches.dropped.set(self.batches.dropped.get() + 1);
            return;
        }
        batch.push(request);
        let full = batch.records.len() == RECORDS || batch.texts.len() > TEXT_BYTES;
        if full {
            batch.scheduled = true;
            tokio::task::spawn_local(Rc::clone(self).hand_over(plugin.id()));
        } else if !batch.scheduled {
            batch.scheduled = true;
            let worker = Rc::clone(self);
            let id = plugin.id();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(LINGER).await;
                worker.hand_over(id).await;
            });
        }
    }

    /// Hands over everything queued: before the worker ends.
    pub async fn flush_logs(self: &Rc<Self>) {
        let ids: Vec<u32> = self.batches.open.borrow().keys().copied().collect();
        for id in ids {
            Rc::clone(self).hand_over(id).await;
        }
    }

    /// Records that no plugin was given: because it failed, or could not keep up.
    pub fn dropped_records(&self) -> u64 {
        self.batches.dropped.get()
    }

    async fn hand_over(self: Rc<Self>, id: u32) {
        let Some(batch) = self.batches.open.borrow_mut().remove(&id) else { return };
        let count = batch.records.len() as u64;
        let outcome = match self.pool(&batch.plugin).lease(&batch.plugin).await {
            Ok(mut lease) => {
                let outcome = lease.instance().log(&batch.plugin, batch.records, Bytes::from(batch.texts)).await;
                if outcome.is_ok() {
                    lease.give_back(&batch.plugin);
                }
                outcome
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = outcome {
            self.batches.dropped.set(self.batches.dropped.get() + count);
            let error = self.counted(fault, &batch.plugin);
            if !error.loud {
                return;
            }
            tracing::warn!(
                plugin = error.plugin,
                kind = error.kind.label(),
                detail = error.detail,
                count,
                "log records lost"
            );
        }
    }
}

impl Batch {
    fn new(plugin: &Arc<PluginUse>) -> Batch {
        Batch {
            plugin: Arc::clone(plugin),
            records: Vec::with_capacity(RECORDS),
            texts: Vec::with_capacity(TEXT_BYTES),
            scheduled: false,
        }
    }

    fn push(&mut self, request: &FinishedRequest<'_>) {
        let texts = &mut self.texts;
        let mut text = |slice: &str| {
            let start = texts.len() as u32;
            texts.extend_from_slice(slice.as_bytes());
            Text { start, length: slice.len() as u32 }
        };
        self.records.push(LogRecord {
            started_at: request.started_at,
            duration: request.duration,
            upstream_duration: request.upstream_duration,
            request_bytes: request.request_bytes,
            response_bytes: request.response_bytes,
            status: request.status,
            attempts: request.attempts,
            aborted: request.aborted,
            request_id: text(request.request_id),
            client_address: text(request.client_address),
            method: text(request.method),
            scheme: text(request.scheme),
            host: text(request.host),
            target: text(request.target),
            http_version: text(request.http_version),
            user_agent: text(request.user_agent),
            route: text(request.route),
            service: text(request.service),
            upstream: text(request.upstream),
            consumer: text(request.consumer),
            fields: text(request.fields),
        });
    }
}

/// How long a record waits for company.
const LINGER: Duration = Duration::from_millis(100);
/// Records, and bytes of their texts, that make a batch full.
const RECORDS: usize = 128;
const TEXT_BYTES: usize = 32 << 10;
/// Texts beyond which a plugin that can't keep up loses records.
const BACKLOG_BYTES: usize = 1 << 20;
