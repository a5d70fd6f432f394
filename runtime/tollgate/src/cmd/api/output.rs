//! How answers are shown to people.

use std::io::{ErrorKind, Write};

use serde_json::Value;

/// Writes to standard output. Somebody who stops reading has seen enough.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Beside the output proper, which a program may read.
#[allow(clippy::print_stderr, reason = "this is the command line's own voice")]
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// Columns under their headings, each as wide as it needs to be.
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A value as a cell: lists with commas between, nothing as a dash.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text).replace('\n', " "),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        other => printable(&other.to_string()),
    }
}

/// A terminal obeys control characters.
pub(super) fn printable(text: &str) -> String {
    let is_shown = |c: char| !c.is_control() || c == '\n';
    text.chars().map(|c| if is_shown(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [["a".to_owned(), "x".to_owned()], ["longer-ä".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "B"], rows), "NAME      B\na         x\nlonger-ä\n");
    }

    #[test]
    fn values_are_shown_as_text_that_no_terminal_obeys() {
        for (value, text) in [
            (json!(null), "-"),
            (json!([]), "-"),
            (json!(["a", 1]), "a,1"),
            (json!("\u{1b}[2Jgone"), "\u{fffd}[2Jgone"),
            (json!(true), "true"),
        ] {
            assert_eq!(shown(&value), text);
        }
    }
}
