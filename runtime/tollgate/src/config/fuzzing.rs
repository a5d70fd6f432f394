use std::path::Path;

use tollgate_model::decode;
use tollgate_store::Document;

use super::Raw;

/// `tollgate.toml` is read, or refused with a report in which every finding has a place.
pub fn tollgate_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = Document::parse(Path::new("tollgate.toml"), text.to_owned()).and_then(|mut document| {
        document.expand(|name| Some(format!("of {name}")));
        document.read(decode::whole::<Raw>)
    });
    let Err(report) = read else { return };
    let lines = text.lines().count();
    assert!(!report.findings().is_empty());
    for finding in report.findings() {
        assert!((1..=lines + 1).contains(&finding.line) && !finding.message.is_empty(), "{finding:?}");
    }
    assert!(!report.render_plain().is_empty());
}
