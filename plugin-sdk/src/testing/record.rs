use std::time::Duration;

use crate::LogBatch;
use crate::host::types::{LogRecord, Text};

/// A finished request for [`Gateway::log`](super::Gateway::log). Texts left empty were not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestRecord {
    /// Since the Unix epoch.
    pub started_at: Duration,
    pub duration: Duration,
    pub upstream_duration: Duration,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub status: u16,
    pub attempts: u16,
    pub aborted: bool,
    pub request_id: String,
    pub client_address: String,
    pub method: String,
    pub scheme: String,
    pub host: String,
    pub target: String,
    pub http_version: String,
    pub user_agent: String,
    pub route: String,
    pub service: String,
    pub upstream: String,
    pub consumer: String,
    /// JSON members without the braces.
    pub fields: String,
}

pub(crate) fn batch(records: &[TestRecord]) -> LogBatch {
    let mut texts = Vec::new();
    let records = records.iter().map(|record| flat(record, &mut texts)).collect();
    LogBatch::new(records, texts)
}

fn flat(record: &TestRecord, texts: &mut Vec<u8>) -> LogRecord {
    let mut text = |text: &str| {
        let start = u32::try_from(texts.len()).expect("a test's batch is small");
        texts.extend_from_slice(text.as_bytes());
        Text { start, length: u32::try_from(text.len()).expect("a test's text is small") }
    };
    LogRecord {
        started_at: micros(record.started_at),
        duration: micros(record.duration),
        upstream_duration: micros(record.upstream_duration),
        request_bytes: record.request_bytes,
        response_bytes: record.response_bytes,
        status: record.status,
        attempts: record.attempts,
        aborted: record.aborted,
        request_id: text(&record.request_id),
        client_address: text(&record.client_address),
        method: text(&record.method),
        scheme: text(&record.scheme),
        host: text(&record.host),
        target: text(&record.target),
        http_version: text(&record.http_version),
        user_agent: text(&record.user_agent),
        route: text(&record.route),
        service: text(&record.service),
        upstream: text(&record.upstream),
        consumer: text(&record.consumer),
        fields: text(&record.fields),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
