//! What modules say of their settings, shown in the file.

use std::path::Path;

use tollgate_model::decode::Place;
use tollgate_model::{ConfigSet, Problem, Problems};
use tollgate_plugin_host::{Host, Prepared, SettingsProblem};
use tollgate_store::{ConfigReport, Document, FileStore};

use crate::config::environment;

/// Settings that a module refused, where they stand in the file.
pub fn settings_report(document: &Document, problems: &[SettingsProblem]) -> ConfigReport {
    document.report(&in_file(document, problems))
}

/// Why a file is refused, together with what modules would refuse of the settings in it: a user who mends the one should
/// not be told of the other only then.
pub async fn completed(report: ConfigReport, store: &FileStore, host: &Host, previous: &Prepared) -> ConfigReport {
    let Some(draft) = store.draft(environment) else { return report };
    let refused = host.settings_problems(&draft.plugins, previous).await;
    let refused = in_file(&draft.document, &refused);
    draft.report(refused)
}

/// Plugins whose modules are not in the folder, with the files that were looked for.
pub fn missing_modules(host: &Host, set: &ConfigSet, folder: &Path) -> Vec<SettingsProblem> {
    let with_file = |problem: SettingsProblem| {
        let module = set.plugins.get(&problem.plugin).map_or(&problem.plugin, |plugin| &plugin.module);
        let file = folder.join(format!("{module}.wasm"));
        let message = format!("{}: there is no {}", problem.message, file.display());
        SettingsProblem { message, ..problem }
    };
    host.missing_modules(set).into_iter().map(with_file).collect()
}

fn in_file(document: &Document, problems: &[SettingsProblem]) -> Problems {
    let located = problems.iter().map(|problem| {
        let message = format!("plugin `{}`: {}", problem.plugin, problem.message);
        let located = located(document, "plugins", problem.plugin.as_str(), &problem.path, message);
        Problem { hint: problem.hint.clone(), part: problem.part, ..located }
    });
    Problems(located.collect())
}

/// Writes down why plugins are degraded by what their modules refused.
pub fn tell_refused(document: &Document, prepared: &Prepared) {
    if !prepared.problems.is_empty() {
        let report = settings_report(document, &prepared.problems).render_plain();
        tracing::error!("modules refuse their settings, their routes can't be served\n{report}");
    }
}

/// A problem of one entity of a list, at `path` below its table.
fn located(document: &Document, list: &str, name: &str, path: &str, message: String) -> Problem {
    let entries = document.tree().get(list).and_then(|entries| entries.as_array());
    let named = |entry: &serde_json::Value| entry.get("name").and_then(|entry| entry.as_str()) == Some(name);
    let mut problem = Problem::new(&Place::Root, message);
    if let Some(index) = entries.and_then(|entries| entries.iter().position(named)) {
        problem.path = match path {
            "" => format!("{list}[{index}]"),
            path => format!("{list}[{index}].{path}"),
        };
    }
    problem
}
