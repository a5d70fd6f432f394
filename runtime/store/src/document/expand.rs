//! `${env:NAME}` in string values.

use serde_json::Value;
use tollgate_model::decode::Place;
use tollgate_model::{Problem, Problems};

/// A value that came from the environment, remembered so that no report shows it.
pub(super) struct Expanded {
    path: String,
    variable: String,
    value: String,
}

/// Hides the value: a document may be logged.
impl std::fmt::Debug for Expanded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} from {}", self.path, self.variable)
    }
}

type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

pub(super) fn expand(tree: &mut Value, env: Env<'_>, problems: &mut Problems) -> Vec<Expanded> {
    let mut expanded = Vec::new();
    expand_value(tree, &Place::Root, env, &mut expanded, problems);
    expanded
}

fn expand_value(
    value: &mut Value,
    place: &Place<'_>,
    env: Env<'_>,
    expanded: &mut Vec<Expanded>,
    problems: &mut Problems,
) {
    match value {
        Value::String(text) if text.contains("${") => match expand_text(text, env) {
            Ok((replaced, variables)) => {
                let path = place.to_string();
                expanded.extend(variables.into_iter().map(|(variable, value)| Expanded {
                    path: path.clone(),
                    variable,
                    value,
                }));
                *text = replaced;
            }
            Err(fault) => problems.add(fault.problem(place)),
        },
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                expand_value(item, &place.index(index), env, expanded, problems);
            }
        }
        Value::Object(table) => {
            for (key, value) in table {
                expand_value(value, &place.key(key), env, expanded, problems);
            }
        }
        _ => {}
    }
}

enum Fault {
    NotSet(String),
    Malformed,
}

impl Fault {
    fn problem(self, place: &Place<'_>) -> Problem {
        match self {
            Fault::NotSet(variable) => Problem::new(place, format!("the environment variable `{variable}` is not set")),
            Fault::Malformed => Problem::new(place, "not the name of an environment variable")
                .with_hint("write ${env:NAME}, or $${ for the characters ${"),
        }
    }
}

/// The text and the variables that are in it now. Other `${…}` are left alone: plugins have
/// templates of their own.
fn expand_text(text: &str, env: Env<'_>) -> Result<(String, Vec<(String, String)>), Fault> {
    let mut replaced = String::with_capacity(text.len());
    let mut variables = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(at);
        replaced.push_str(before);
        if let Some(after) = from_dollar.strip_prefix("$${") {
            replaced.push_str("${");
            rest = after;
        } else if let Some(after) = from_dollar.strip_prefix("${env:") {
            let (variable, after) = after.split_once('}').ok_or(Fault::Malformed)?;
            if !is_variable(variable) {
                return Err(Fault::Malformed);
            }
            let value = env(variable).ok_or_else(|| Fault::NotSet(variable.to_owned()))?;
            replaced.push_str(&value);
            variables.push((variable.to_owned(), value));
            rest = after;
        } else {
            replaced.push('$');
            rest = &from_dollar[1..];
        }
    }
    replaced.push_str(rest);
    Ok((replaced, variables))
}

fn is_variable(name: &str) -> bool {
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    allowed && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Shorter values would turn up in any sentence. They are still taken out where they were put in.
const TELLING_LENGTH: usize = 4;

/// The text of a problem at `path`, with each expanded value written as its variable.
pub(super) fn redact(text: &str, path: &str, expanded: &[Expanded]) -> String {
    let mut text = text.to_owned();
    for Expanded { path: origin, variable, value } in expanded {
        let telling = value.len() >= TELLING_LENGTH || (origin == path && !value.is_empty());
        if telling && text.contains(value.as_str()) {
            text = text.replace(value.as_str(), &format!("${{env:{variable}}}"));
        }
    }
    text
}
