use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_plugin_sdk::LogRecord;

use crate::time::rfc3339;

/// What a line holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// When the request's head had arrived: RFC 3339, UTC, milliseconds.
    Time,
    RequestId,
    /// Address of the client.
    Client,
    Method,
    Scheme,
    Host,
    /// Path and query as the client sent them.
    Target,
    HttpVersion,
    /// Status that the client was sent.
    Status,
    RequestBytes,
    ResponseBytes,
    /// From the request's head to the end of the response, in microseconds.
    DurationUs,
    /// Of which the upstream took until its response head; null when none was asked.
    UpstreamDurationUs,
    Route,
    Service,
    /// Address of the upstream target that answered.
    Upstream,
    /// Name of the consumer.
    Consumer,
    UserAgent,
    /// Connections tried to upstream targets.
    Attempts,
    /// The client went away, or the response broke off, before the end.
    Aborted,
}

impl Field {
    pub const ALL: [Field; 20] = [
        Field::Time,
        Field::RequestId,
        Field::Client,
        Field::Method,
        Field::Scheme,
        Field::Host,
        Field::Target,
        Field::HttpVersion,
        Field::Status,
        Field::RequestBytes,
        Field::ResponseBytes,
        Field::DurationUs,
        Field::UpstreamDurationUs,
        Field::Route,
        Field::Service,
        Field::Upstream,
        Field::Consumer,
        Field::UserAgent,
        Field::Attempts,
        Field::Aborted,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Field::Time => "time",
            Field::RequestId => "request_id",
            Field::Client => "client",
            Field::Method => "method",
            Field::Scheme => "scheme",
            Field::Host => "host",
            Field::Target => "target",
            Field::HttpVersion => "http_version",
            Field::Status => "status",
            Field::RequestBytes => "request_bytes",
            Field::ResponseBytes => "response_bytes",
            Field::DurationUs => "duration_us",
            Field::UpstreamDurationUs => "upstream_duration_us",
            Field::Route => "route",
            Field::Service => "service",
            Field::Upstream => "upstream",
            Field::Consumer => "consumer",
            Field::UserAgent => "user_agent",
            Field::Attempts => "attempts",
            Field::Aborted => "aborted",
        }
    }

    fn write(self, record: &LogRecord, line: &mut Vec<u8>) {
        match self {
            Field::Time => {
                line.push(b'"');
                line.extend_from_slice(&rfc3339(record.started_at()));
                line.push(b'"');
            }
            Field::RequestId => text(record.request_id(), line),
            Field::Client => text(record.client_address(), line),
            Field::Method => text(record.method(), line),
            Field::Scheme => text(record.scheme(), line),
            Field::Host => text(record.host(), line),
            Field::Target => text(record.target(), line),
            Field::HttpVersion => text(record.http_version(), line),
            Field::Status => number(record.status().into(), line),
            Field::RequestBytes => number(record.request_bytes(), line),
            Field::ResponseBytes => number(record.response_bytes(), line),
            Field::DurationUs => micros(record.duration(), line),
            Field::UpstreamDurationUs if record.attempts() == 0 => line.extend_from_slice(b"null"),
            Field::UpstreamDurationUs => micros(record.upstream_duration(), line),
            Field::Route => text(record.route(), line),
            Field::Service => text(record.service(), line),
            Field::Upstream => text(record.upstream(), line),
            Field::Consumer => text(record.consumer(), line),
            Field::UserAgent => text(record.user_agent(), line),
            Field::Attempts => number(record.attempts().into(), line),
            Field::Aborted => line.extend_from_slice(if record.aborted() { b"true" } else { b"false" }),
        }
    }
}

/// The shape of every line of one use, settled when it was configured.
pub struct Layout {
    /// Fields with what comes before them: `{"time":` or `,"status":`.
    fields: Vec<(Vec<u8>, Field)>,
    /// The constant members, each with its comma in front.
    extra: Vec<u8>,
}

impl Layout {
    pub fn new(exclude: &[Field], extra: &BTreeMap<String, String>) -> Self {
        let fields = Field::ALL.into_iter().filter(|field| !exclude.contains(field));
        let mut constants = Vec::new();
        for (name, value) in extra {
            constants.push(b',');
            text_or_empty(name, &mut constants);
            constants.push(b':');
            text_or_empty(value, &mut constants);
        }
        Self {
            fields: fields.map(|field| (format!(",\"{}\":", field.name()).into_bytes(), field)).collect(),
            extra: constants,
        }
    }

    /// Bytes to set aside for a line.
    pub fn usual_length(&self) -> usize {
        512 + self.extra.len()
    }

    /// Appends the record's line. Every member is written with a comma in front, and the first
    /// comma then becomes the brace.
    pub fn write(&self, record: &LogRecord, lines: &mut Vec<u8>) {
        let start = lines.len();
        for (lead, field) in &self.fields {
            lines.extend_from_slice(lead);
            field.write(record, lines);
        }
        lines.extend_from_slice(&self.extra);
        if !record.fields().is_empty() {
            lines.push(b',');
            lines.extend_from_slice(record.fields().as_bytes());
        }
        match lines.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => lines.push(b'{'),
        }
        lines.extend_from_slice(b"}\n");
    }
}

/// What was not known is null.
fn text(text: &str, line: &mut Vec<u8>) {
    if text.is_empty() { line.extend_from_slice(b"null") } else { text_or_empty(text, line) }
}

fn text_or_empty(text: &str, line: &mut Vec<u8>) {
    if is_plain(text.as_bytes()) {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
    } else {
        serde_json::to_writer(line, text).expect("a text is valid JSON and a vector takes every write");
    }
}

/// Nothing in it is escaped in JSON (RFC 8259, 7). Nearly every text is plain, so that it is asked of eight bytes
/// at a time, of the last eight twice where need be: a byte that is escaped leaves its high bit in the word.
fn is_plain(text: &[u8]) -> bool {
    match text.last_chunk() {
        Some(last) => {
            text.as_chunks().0.iter().chain([last]).all(|word| escaped(u64::from_le_bytes(*word)) & HIGH == 0)
        }
        None => !text.iter().any(|byte| matches!(byte, ..0x20 | b'"' | b'\\')),
    }
}

/// The high bits of bytes below 0x20, of quotes and of backslashes (Anderson, "Bit Twiddling Hacks": determine
/// if a word has a byte less than n; has a zero byte).
fn escaped(word: u64) -> u64 {
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1)
}

fn number(number: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn micros(time: Duration, line: &mut Vec<u8>) {
    number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), line);
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_json_writes_it() {
        for length in 0..20 {
            for place in 0..=length {
                for byte in 0..=0x7f_u8 {
                    let mut text = vec![b'a'; length];
                    text.insert(place, byte);
                    let text = String::from_utf8(text).expect("ASCII");
                    let mut line = Vec::new();
                    text_or_empty(&text, &mut line);
                    assert_eq!(line, serde_json::to_vec(&text).expect("a text"), "{text:?}");
                }
            }
        }
        let mut line = Vec::new();
        text_or_empty("grüße \u{7f}\u{1f600}", &mut line);
        assert_eq!(line, "\"grüße \u{7f}\u{1f600}\"".as_bytes());
    }
}
