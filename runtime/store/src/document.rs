//! A TOML or JSON file that remembers where everything in it stands.

mod conceal;
mod expand;
mod json;
mod spans;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use tollgate_model::problem::Part;
use tollgate_model::{Problem, Problems};
use toml::de::DeTable;

use crate::report::{ConfigReport, Finding};
use expand::Expanded;
use spans::Spans;

/// A parsed file: its tree, and the place of each value in the text.
///
/// The usual way: [`Document::open`], [`Document::expand`], [`Document::read`].
#[derive(Debug)]
pub struct Document {
    file_name: String,
    text: String,
    tree: Value,
    spans: Spans,
    /// What TOML allows and a configuration does not, and what could not be expanded.
    problems: Problems,
    expanded: Vec<Expanded>,
}

impl Document {
    /// Reads (blocking) and parses a file. `absent`: what to do where there is none.
    pub fn open(path: &Path, absent: &str) -> Result<Document, ConfigReport> {
        let bytes = std::fs::read(path).map_err(|error| {
            let hint = (error.kind() == ErrorKind::NotFound).then_some(absent);
            ConfigReport::whole_file(path, format!("can't be read: {error}"), hint)
        })?;
        let text = String::from_utf8(bytes).map_err(|error| not_text(path, &error))?;
        Document::parse(path, text)
    }

    /// `file_name` is what reports call the file. Fails on errors of syntax with the first of them: what
    /// the parser finds behind it follows from it as a rule.
    pub fn parse(file_name: &Path, text: String) -> Result<Document, ConfigReport> {
        let file_name = file_name.display().to_string();
        let (table, errors) = DeTable::parse_recoverable(&text);
        if let Some(first) = errors.iter().min_by_key(|error| error.span().map(|span| span.start)) {
            return Err(ConfigReport::new(file_name, conceal::by_line(&text), vec![syntax_error(first, &text)]));
        }
        let mut problems = Problems::default();
        let (tree, spans) = spans::convert(&table, &mut problems);
        Ok(Document { file_name, text, tree, spans, problems, expanded: Vec::new() })
    }

    /// As [`Document::parse`], of JSON.
    pub fn parse_json(file_name: &Path, text: String) -> Result<Document, ConfigReport> {
        let tree = serde_json::from_str(&text)
            .map_err(|error| ConfigReport::whole_file(file_name, format!("not JSON: {error}"), None))?;
        let (file_name, spans) = (file_name.display().to_string(), json::spans(&text));
        Ok(Document { file_name, text, tree, spans, problems: Problems::default(), expanded: Vec::new() })
    }

    /// Replaces `${env:NAME}` in string values; `$${` stands for `${`. Reports what is not set with
    /// the document's other problems. Call it once.
    pub fn expand(&mut self, env: impl Fn(&str) -> Option<String>) {
        self.expanded.extend(expand::expand(&mut self.tree, &env, &mut self.problems));
    }

    /// The file's own text, secrets included.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn tree(&self) -> &Value {
        &self.tree
    }

    /// What `decode` makes of the tree, or a report of its problems and the document's own.
    pub fn read<T>(&self, decode: impl FnOnce(&Value) -> Result<T, Problems>) -> Result<T, ConfigReport> {
        match decode(&self.tree) {
            Ok(value) if self.problems.is_empty() => Ok(value),
            Ok(_) => Err(self.report(&Problems::default())),
            Err(problems) => Err(self.report(&problems)),
        }
    }

    /// Nothing is wrong with the document itself.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// The text of the value at a place written as in [`Problem::path`].
    pub fn locate(&self, path: &str) -> Option<Range<usize>> {
        self.spans.at(path).map(|spans| spans.value.clone())
    }

    /// A report of these problems and the document's own. Where the document has one, others of the
    /// same place only follow from it and are left out.
    pub fn report(&self, problems: &Problems) -> ConfigReport {
        let reported: HashSet<&str> = self.problems.iter().map(|problem| problem.path.as_str()).collect();
        let others = problems.iter().filter(|problem| !reported.contains(problem.path.as_str()));
        let findings = self.problems.iter().chain(others).map(|problem| self.finding(problem)).collect();
        ConfigReport::new(self.file_name.clone(), conceal::by_key(&self.text, &self.tree, &self.spans), findings)
    }

    fn finding(&self, problem: &Problem) -> Finding {
        let span = self.spans.label(&self.text, &problem.path, problem.part);
        let clean = |text: &String| expand::redact(text, &problem.path, &self.expanded);
        let mut finding = Finding::new(Some(span), clean(&problem.message));
        finding.path = problem.path.clone();
        finding.hint = problem.hint.as_ref().map(clean);
        finding.elsewhere = problem.elsewhere.as_ref().map(|elsewhere| {
            let span = self.spans.label(&self.text, &elsewhere.path, Part::Value);
            (span, elsewhere.label.clone())
        });
        finding
    }
}

fn not_text(path: &Path, error: &std::string::FromUtf8Error) -> ConfigReport {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
    ConfigReport::whole_file(path, format!("line {line} is not UTF-8"), None)
}

fn syntax_error(error: &toml::de::Error, text: &str) -> Finding {
    let Some(span) = error.span() else {
        // The parser gives up on the whole, and says no more.
        return Finding::new(Some(0..0), "tables or lists are nested too deeply".to_owned());
    };
    // What looks like a key at the end of a text that is not closed is a part of the text.
    let is_in_text = error.message().starts_with("invalid") && error.message().contains("string");
    if !is_in_text && lacks_value(text, span.start) {
        let finding = Finding::new(Some(span), "a value is missing after `=`".to_owned());
        return Finding { hint: Some("as in \"text\", 10, true or [\"a\", \"b\"]".to_owned()), ..finding };
    }
    let finding = Finding::new(Some(span), error.message().trim_end().replace('\n', ", "));
    let is_unquoted = finding.message.starts_with("string values must be quoted");
    Finding { hint: is_unquoted.then(|| "put the text in quotes, as in \"text\"".to_owned()), ..finding }
}

/// Nothing stands between the `=` before `at`, in its line, and the end of the line, the table or the list.
fn lacks_value(text: &str, at: usize) -> bool {
    let Some((before, behind)) = text.split_at_checked(at) else { return false };
    let (line, behind) = (before.rsplit('\n').next().unwrap_or_default(), behind.trim_start_matches([' ', '\t']));
    // One in a string that is not closed is none.
    let is_closed = line.matches(['"', '\'']).count() % 2 == 0;
    is_closed
        && !line.contains('#')
        && line.trim_end_matches([' ', '\t']).ends_with('=')
        && (behind.is_empty() || behind.starts_with(['\r', '\n', '#', ',', '}', ']']))
}

#[cfg(test)]
mod tests;
