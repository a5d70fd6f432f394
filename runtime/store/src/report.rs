//! All that is wrong with a file, for people.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Everything that is wrong with one file: [`ConfigReport::headline`], then each of
/// [`ConfigReport::shown`], which `miette` renders with the line and a caret.
/// [`ConfigReport::summary`] is one line for logs and status pages.
///
/// Holds no secrets: neither expanded values nor those that the file itself has under secret keys.
#[derive(Clone, Debug)]
pub struct ConfigReport {
    source: Arc<NamedSource<String>>,
    findings: Vec<Finding>,
    /// Stands for the findings beyond [`MOST_SHOWN`] when rendered.
    rest: Option<Box<Finding>>,
}

/// A finding together with the text that it is about.
#[derive(Debug)]
pub struct ShownFinding {
    finding: Finding,
    source: Arc<NamedSource<String>>,
}

/// One thing wrong.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    /// From 1; 0 if the problem is with the file as a whole.
    pub line: usize,
    /// From 1, in characters; 0 with line 0.
    pub column: usize,
    /// Place in the tree: `routes[2].paths[0]`; empty for the whole and for errors of syntax.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
    #[serde(skip)]
    pub(crate) span: Option<Range<usize>>,
    #[serde(skip)]
    pub(crate) elsewhere: Option<(Range<usize>, String)>,
}

/// Nobody reads more at once, and each one rendered reads the file again.
const MOST_SHOWN: usize = 100;

impl ConfigReport {
    /// `source` is the file's text without its secrets; what is found is put in the order of the file.
    pub(crate) fn new(file_name: String, source: String, mut findings: Vec<Finding>) -> ConfigReport {
        findings.sort_by_key(|finding| finding.span.as_ref().map(|span| span.start));
        number_lines(&source, &mut findings);
        let more = findings.len().saturating_sub(MOST_SHOWN);
        let rest = (more > 0).then(|| Box::new(Finding::new(None, format!("and {more} more problems"))));
        let source = Arc::new(NamedSource::new(&file_name, source).with_language("TOML"));
        ConfigReport { source, findings, rest }
    }

    /// A problem with the file itself: it is not there, can't be read, is not text.
    pub(crate) fn whole_file(path: &Path, message: String, hint: Option<&str>) -> ConfigReport {
        let mut finding = Finding::new(None, message);
        finding.hint = hint.map(str::to_owned);
        ConfigReport::new(path.display().to_string(), String::new(), vec![finding])
    }

    /// In the order of the file; at least one.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub fn file_name(&self) -> &str {
        self.source.name()
    }

    /// The first finding with its place, and how many more there are.
    pub fn summary(&self) -> String {
        let Some(first) = self.findings.first() else { return self.to_string() };
        let place = match first.line {
            0 => self.file_name().to_owned(),
            line => format!("{}:{line}:{}", self.file_name(), first.column),
        };
        let hint = first.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        match self.findings.len() - 1 {
            0 => format!("{place}: {}{hint}", first.message),
            1 => format!("{place}: {}{hint}, and 1 more problem", first.message),
            more => format!("{place}: {}{hint}, and {more} more problems", first.message),
        }
    }

    /// What stands above the findings. One with a place says itself which file it is about.
    pub fn headline(&self) -> Option<String> {
        let speaks_for_itself = self.findings.len() == 1 && self.findings[0].line > 0;
        (!speaks_for_itself).then(|| self.to_string())
    }

    /// What people are shown, in the order of the file: the first findings, and how many more there are.
    pub fn shown(&self) -> impl Iterator<Item = ShownFinding> {
        let shown = self.findings.iter().take(MOST_SHOWN).chain(self.rest.as_deref());
        shown.map(|finding| ShownFinding { finding: finding.clone(), source: Arc::clone(&self.source) })
    }

    /// The report with lines and carets, without colours.
    pub fn render_plain(&self) -> String {
        let theme = miette::GraphicalTheme::unicode_nocolor();
        let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(120);
        let mut parts: Vec<String> = self.headline().map(|headline| headline + "\n").into_iter().collect();
        for finding in self.shown() {
            let mut text = String::new();
            if handler.render_report(&mut text, &finding).is_err() {
                return self.summary();
            }
            parts.push(text);
        }
        parts.join("\n")
    }
}

impl Finding {
    /// Line and column come with the report.
    pub(crate) fn new(span: Option<Range<usize>>, message: String) -> Finding {
        Finding { line: 0, column: 0, path: String::new(), message, hint: None, span, elsewhere: None }
    }
}

/// Findings are in the order of the source, so it is read once for all of them.
fn number_lines(source: &str, findings: &mut [Finding]) {
    let (mut line, mut line_start, mut read) = (1, 0, 0);
    for finding in findings {
        let Some(span) = &finding.span else { continue };
        // Past the end, or within a character, only if the span is of another text.
        let Some(between) = source.get(read..span.start) else { continue };
        line += between.matches('\n').count();
        line_start = between.rfind('\n').map_or(line_start, |at| read + at + 1);
        read = span.start;
        finding.line = line;
        finding.column = source[line_start..read].chars().count() + 1;
    }
}

impl fmt::Display for ConfigReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.findings.len() {
            1 => write!(f, "{} has a problem", self.file_name()),
            count => write!(f, "{} has {count} problems", self.file_name()),
        }
    }
}

impl fmt::Display for ShownFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for ConfigReport {}
impl std::error::Error for ShownFinding {}

impl Diagnostic for ShownFinding {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Finding { span, elsewhere, .. } = &self.finding;
        let here = elsewhere.is_some().then(|| "here".to_owned());
        let here = LabeledSpan::new_primary_with_span(here, span.clone()?);
        let elsewhere =
            elsewhere.iter().map(|(span, label)| LabeledSpan::new_with_span(Some(label.clone()), span.clone()));
        Some(Box::new(std::iter::once(here).chain(elsewhere)))
    }
}
