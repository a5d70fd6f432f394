use std::time::Duration;

use crate::host::types;

/// Finished requests, oldest first.
#[derive(Debug)]
pub struct LogBatch {
    records: Vec<types::LogRecord>,
    texts: String,
}

impl LogBatch {
    pub(crate) fn new(records: Vec<types::LogRecord>, texts: Vec<u8>) -> Self {
        // The host promises UTF-8; a broken promise must neither cost the batch nor move the slices.
        let texts = String::from_utf8(texts).unwrap_or_else(|error| {
            error.as_bytes().iter().map(|b| if b.is_ascii() { *b as char } else { '?' }).collect()
        });
        Self { records, texts }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = LogRecord<'_>> {
        self.records.iter().map(|record| LogRecord { record, texts: &self.texts })
    }
}

/// A finished request. Texts that were not known are empty.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    record: &'a types::LogRecord,
    texts: &'a str,
}

impl<'a> LogRecord<'a> {
    /// When the request's head had arrived, since the Unix epoch.
    pub fn started_at(&self) -> Duration {
        Duration::from_micros(self.record.started_at)
    }

    /// From the head's arrival to the end of the response.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.record.duration)
    }

    /// Of which the upstream took until its response head.
    pub fn upstream_duration(&self) -> Duration {
        Duration::from_micros(self.record.upstream_duration)
    }

    pub fn request_bytes(&self) -> u64 {
        self.record.request_bytes
    }

    pub fn response_bytes(&self) -> u64 {
        self.record.response_bytes
    }

    /// Status that the client was sent.
    pub fn status(&self) -> u16 {
        self.record.status
    }

    /// Connections tried to upstream targets.
    pub fn attempts(&self) -> u16 {
        self.record.attempts
    }

    /// The client went away, or the response broke off, before the end.
    pub fn aborted(&self) -> bool {
        self.record.aborted
    }

    pub fn request_id(&self) -> &'a str {
        self.text(&self.record.request_id)
    }

    pub fn client_address(&self) -> &'a str {
        self.text(&self.record.client_address)
    }

    pub fn method(&self) -> &'a str {
        self.text(&self.record.method)
    }

    pub fn scheme(&self) -> &'a str {
        self.text(&self.record.scheme)
    }

    pub fn host(&self) -> &'a str {
        self.text(&self.record.host)
    }

    /// Path and query as the client sent them.
    pub fn target(&self) -> &'a str {
        self.text(&self.record.target)
    }

    pub fn http_version(&self) -> &'a str {
        self.text(&self.record.http_version)
    }

    pub fn user_agent(&self) -> &'a str {
        self.text(&self.record.user_agent)
    }

    pub fn route(&self) -> &'a str {
        self.text(&self.record.route)
    }

    pub fn service(&self) -> &'a str {
        self.text(&self.record.service)
    }

    /// Address of the upstream target that answered.
    pub fn upstream(&self) -> &'a str {
        self.text(&self.record.upstream)
    }

    pub fn consumer(&self) -> &'a str {
        self.text(&self.record.consumer)
    }

    /// What plugins added by [`log::field`](crate::log::field): JSON members without the braces.
    pub fn fields(&self) -> &'a str {
        self.text(&self.record.fields)
    }

    fn text(&self, text: &types::Text) -> &'a str {
        let start = text.start as usize;
        self.texts.get(start..start + text.length as usize).unwrap_or_default()
    }
}
