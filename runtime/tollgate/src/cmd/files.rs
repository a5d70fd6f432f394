//! The configuration that files say, and the places in them that a node complains of.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value};
use tollgate_model::decode::{OwnedStep, Place, steps};
use tollgate_model::{Kind, Problem, Problems};
use tollgate_store::{ConfigReport, Document};

use super::InvalidFiles;
use super::api::{Failure, Refused};
use crate::config::environment;

/// Several files as one configuration: their lists one behind the other.
#[derive(Debug)]
pub struct Files {
    documents: Vec<Document>,
    tree: Value,
    /// By list, for each of its items: which file it is from, and where it stands in that one's list.
    origins: BTreeMap<String, Vec<(usize, usize)>>,
}

impl Files {
    /// Reads them, `-` for standard input, and expands `${env:NAME}`. What they say is for the node to judge.
    pub fn read(paths: &[PathBuf]) -> anyhow::Result<Files> {
        let (mut documents, mut reports) = (Vec::new(), Vec::new());
        for path in paths {
            match open(path)? {
                Ok(document) => documents.push(document),
                Err(report) => reports.push(report),
            }
        }
        if !reports.is_empty() {
            return Err(InvalidFiles(reports).into());
        }
        Ok(Files::of(documents))
    }

    fn of(documents: Vec<Document>) -> Files {
        let (mut tree, mut origins) = (Map::new(), BTreeMap::<String, Vec<(usize, usize)>>::new());
        for (number, document) in documents.iter().enumerate() {
            for (key, value) in document.tree().as_object().into_iter().flatten() {
                match (tree.get_mut(key), value) {
                    (Some(Value::Array(all)), Value::Array(items)) => all.extend(items.iter().cloned()),
                    _ => {
                        tree.insert(key.clone(), value.clone());
                    }
                }
                let items = value.as_array().map_or(0, Vec::len);
                origins.entry(key.clone()).or_default().extend((0..items).map(|index| (number, index)));
            }
        }
        Files { documents, tree: Value::Object(tree), origins }
    }

    pub fn tree(&self) -> &Value {
        &self.tree
    }

    /// A node's refusal as a report of the files, with lines and carets; anything else stays as it is.
    pub fn placed(&self, error: anyhow::Error) -> anyhow::Error {
        let Some(failure) = error.downcast_ref::<Failure>().filter(|failure| !failure.problems.is_empty()) else {
            return error;
        };
        let mut by_file = BTreeMap::<usize, Problems>::new();
        for refused in &failure.problems {
            let (file, path) = self.place(&refused.path);
            by_file.entry(file).or_default().add(problem(refused, path));
        }
        let report = |(file, problems): (&usize, &Problems)| self.documents[*file].report(problems);
        InvalidFiles(by_file.iter().map(report).collect()).into()
    }

    /// The file and the place in it of a path such as `routes.orders.paths[0]` or `routes[3]`, which count through
    /// all files.
    fn place(&self, path: &str) -> (usize, String) {
        let steps = steps(path).unwrap_or_default();
        let (section, item, rest) = match &steps[..] {
            [OwnedStep::Key(section), OwnedStep::Index(index), rest @ ..] => (section, Some(*index), rest),
            [OwnedStep::Key(section), OwnedStep::Key(name), rest @ ..] => (section, self.named(section, name), rest),
            [OwnedStep::Key(section), ..] => (section, None, &[][..]),
            _ => return (0, String::new()),
        };
        let origin = item.and_then(|index| self.origins.get(section)?.get(index));
        if let Some((file, index)) = origin {
            return (*file, written(&Place::Root.key(section).index(*index), rest));
        }
        let has_section = |document: &Document| document.tree().get(section).is_some();
        (self.documents.iter().position(has_section).unwrap_or_default(), Place::Root.key(section).to_string())
    }

    fn named(&self, section: &str, name: &str) -> Option<usize> {
        let key = if section == Kind::Sni.section() { "host" } else { "name" };
        let rows = self.tree.get(section)?.as_array()?;
        rows.iter()
            .position(|row| row.get(key).and_then(Value::as_str).is_some_and(|own| own.eq_ignore_ascii_case(name)))
    }
}

fn open(path: &Path) -> anyhow::Result<Result<Document, ConfigReport>> {
    let parsed = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input can't be read")?;
        parse(Path::new("standard input"), text)
    } else if path.extension().is_some_and(|extension| extension == "json") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{} can't be read: {error}", path.display())))?;
        parse(path, text)
    } else {
        Document::open(path, "name a file that is written as gateway.toml, or - for standard input")
    };
    Ok(parsed.and_then(|mut document| {
        document.expand(environment);
        document.read(|_| Ok(()))?;
        Ok(document)
    }))
}

/// No TOML begins with a brace.
fn parse(name: &Path, text: String) -> Result<Document, ConfigReport> {
    let is_json = name.extension().is_some_and(|extension| extension == "json") || text.trim_start().starts_with('{');
    if is_json { Document::parse_json(name, text) } else { Document::parse(name, text) }
}

fn problem(refused: &Refused, path: String) -> Problem {
    let Refused { message, hint, .. } = refused.clone();
    Problem { path, message, hint, part: Default::default(), elsewhere: None }
}

fn written(place: &Place<'_>, steps: &[OwnedStep]) -> String {
    match steps {
        [] => place.to_string(),
        [OwnedStep::Key(key), rest @ ..] => written(&place.key(key), rest),
        [OwnedStep::Index(index), rest @ ..] => written(&place.index(*index), rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let toml = "chain = [\"log\"]\n\n[[services]]\nname = \"a\"\nurl = \"http://a\"\n\n[[routes]]\nname = \"one\"\npaths = [\"x\"]\n";
        let json = "{\n \"chain\": [\"auth\"],\n \"routes\": [{ \"name\": \"two\", \"paths\": [\"/\", \"y\"] }],\n \"snis\": [{ \"host\": \"*.A.test\", \"certificate\": \"gone\" }]\n}\n";
        Files::of(vec![
            parse(Path::new("a.toml"), toml.to_owned()).expect("TOML"),
            parse(Path::new("b.json"), json.to_owned()).expect("JSON"),
        ])
    }

    #[test]
    fn lists_of_all_files_are_one() {
        let files = files();
        assert_eq!(files.tree()["chain"], serde_json::json!(["log", "auth"]));
        assert_eq!(files.tree()["routes"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn paths_of_the_node_lead_to_places_in_files() {
        let files = files();
        for (path, place) in [
            ("routes.one.paths[0]", (0, "routes[0].paths[0]")),
            ("routes.two.paths[1]", (1, "routes[0].paths[1]")),
            ("routes[1].name", (1, "routes[0].name")),
            ("snis.\"*.a.test\".certificate", (1, "snis[0].certificate")),
            ("chain[1]", (1, "chain[0]")),
            ("chain[0]", (0, "chain[0]")),
            ("routes.three.paths[0]", (0, "routes")),
            ("snis", (1, "snis")),
            ("plugins.limit.config", (0, "plugins")),
            ("", (0, "")),
        ] {
            assert_eq!(files.place(path), (place.0, place.1.to_owned()), "{path}");
        }
    }

    #[test]
    fn a_refusal_is_shown_with_line_and_caret_in_each_file() {
        let refused = |path: &str| Refused { path: path.to_owned(), message: "is wrong".to_owned(), hint: None };
        let mut failure = Failure::refused("2 things are wrong");
        failure.problems = vec![refused("routes.two.paths[1]"), refused("routes.one.paths[0]")];
        let error = files().placed(failure.into());
        let reports = &error.downcast_ref::<InvalidFiles>().expect("a report").0;
        let lines: Vec<_> = reports.iter().map(|report| (report.file_name(), report.findings()[0].line)).collect();
        assert_eq!(lines, [("a.toml", 9), ("b.json", 3)]);
        assert!(reports[1].render_plain().contains("\"y\""), "{}", reports[1].render_plain());
        let other = files().placed(Failure::unreachable("away").into());
        assert!(other.is::<Failure>());
    }
}
