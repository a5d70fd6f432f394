//! What the fuzzer has file-log write. Exists only in builds of `cargo xtask fuzz` and in tests, which run it over
//! the seeds in `fuzz/seeds`.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_plugin_sdk::testing::{Gateway, TestRecord};

use crate::FileLog;

/// Whatever a request holds, its line is one line, is JSON, and says what the request held.
///
/// Texts of the record, a NUL between them; the first 8 bytes are its times and counts.
pub fn file_log(data: &[u8]) {
    let Some((number, texts)) = data.split_first_chunk::<8>() else { return };
    let number = u64::from_le_bytes(*number);
    let Ok(texts) = std::str::from_utf8(texts) else { return };
    let mut texts = texts.split('\0').map(str::to_owned);
    let mut text = || texts.next().unwrap_or_default();
    let record = TestRecord {
        // Up to the year 9999, which RFC 3339 ends with.
        started_at: Duration::from_millis(number % 253_402_300_800_000),
        duration: Duration::from_micros(number),
        status: number as u16,
        attempts: 1,
        request_bytes: number,
        target: text(),
        host: text(),
        user_agent: text(),
        request_id: text(),
        method: text(),
        consumer: text(),
        client_address: text(),
        ..TestRecord::default()
    };
    let (name, value) = (format!("x-{}", text()), text());
    let gateway = Gateway::new();
    let settings = json!({ "path": "a.log", "extra": { name.clone(): value.clone() } });
    let plugin = gateway.configure::<FileLog>(settings).expect("valid settings");
    gateway.log(&plugin, &[record.clone(), record.clone()]);
    let lines = String::from_utf8(gateway.sink("file:a.log")).expect("UTF-8");
    assert_eq!(lines.matches('\n').count(), 2);
    for line in lines.split_terminator('\n') {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let expected = [
            ("target", &record.target),
            ("host", &record.host),
            ("user_agent", &record.user_agent),
            ("request_id", &record.request_id),
            ("method", &record.method),
            ("consumer", &record.consumer),
            ("client", &record.client_address),
        ];
        for (name, text) in expected {
            assert_eq!(line[name], if text.is_empty() { Value::Null } else { json!(text) }, "{name}");
        }
        assert_eq!(line[&*name], json!(value));
        assert_eq!((&line["request_bytes"], &line["status"]), (&json!(number), &json!(number as u16)));
        assert_eq!(line["time"].as_str().map(str::len), Some("2024-02-29T23:59:59.999Z".len()));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_hold() {
        let folder = format!("{}/../../fuzz/seeds/file_log", env!("CARGO_MANIFEST_DIR"));
        for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            super::file_log(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
