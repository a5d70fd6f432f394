//! The configuration in a file. A state of it that is wrong is refused whole; the last good one serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tollgate_keys::{Credentials, Pepper};
use tollgate_model::{ConfigSet, Name};
use tollgate_plugin_host::SettingsProblem;
use tollgate_proxy::WorkerHandle;
use tollgate_store::{ConfigReport, FileStore, Loaded};

use super::serving::{Candidate, Identity, Serving};
use crate::config::environment;
use crate::credentials::credentials_of;
use crate::settings_report::{completed, missing_modules, settings_report, tell_refused};
use crate::settled::{self, Look};

pub struct FileSource {
    store: FileStore,
    /// Hashes the keys of the file.
    pepper: Arc<Pepper>,
    /// Where modules are.
    plugins: PathBuf,
    /// Plugins whose modules are being compiled, which a new configuration has to wait for.
    waits_for: Option<String>,
    /// The file that was last read to its end.
    taken: Option<Look>,
}

/// Why a state of the file does not serve.
enum Unready {
    Refused(ConfigReport),
    /// These plugins' modules are being compiled.
    Waiting(String),
}

impl FileSource {
    pub fn new(path: &Path, plugins: PathBuf, pepper: Arc<Pepper>) -> FileSource {
        FileSource { store: FileStore::open(path), pepper, plugins, waits_for: None, taken: None }
    }

    pub(super) async fn first(&mut self, serving: &Serving) -> Result<Candidate, ConfigReport> {
        serving.host.refresh_all().await;
        let loaded = loop {
            match self.read_settled(serving).await {
                Some(Ok(loaded)) => break loaded,
                Some(Err(report)) => return Err(self.completed(report, serving).await),
                None => {}
            }
        };
        let Loaded { set, digest, document } = loaded;
        match serving.host.prepare_first(&set).await {
            Ok(prepared) => {
                tell_refused(&document, &prepared);
                let credentials = self.credentials(&set, serving);
                Ok(Candidate { set, credentials, prepared, identity: Identity::Digest(digest) })
            }
            Err(problems) => Err(settings_report(&document, &problems)),
        }
    }

    pub(super) async fn reconcile(&mut self, modules_changed: bool, serving: &mut Serving, workers: &[WorkerHandle]) {
        let is_new = |loaded: &Loaded, serving: &Serving| Identity::Digest(loaded.digest) != serving.applied.identity;
        match self.read_settled(serving).await {
            None => tracing::warn!("the configuration is being written all the time, the last good one serves"),
            Some(Ok(loaded)) if is_new(&loaded, serving) || modules_changed => {
                let mended = is_new(&loaded, serving);
                match self.prepared(loaded, serving).await {
                    Ok(candidate) => {
                        serving.apply(candidate, workers).await;
                        self.waits_for = None;
                        if mended {
                            serving.state.change(|serving| serving.last_error = None);
                        }
                        return;
                    }
                    Err(Unready::Refused(report)) => refuse(&report, serving),
                    Err(Unready::Waiting(plugins)) => self.wait_for(plugins, serving),
                }
            }
            Some(Ok(_)) => {
                // The file is what serves: whatever was wrong with it is mended.
                serving.state.change(|serving| {
                    if serving.last_error.take().is_some() {
                        tracing::info!("the configuration is again what serves");
                    }
                });
                return serving.apply_tls_files(workers).await;
            }
            Some(Err(report)) => {
                let report = self.completed(report, serving).await;
                refuse(&report, serving);
            }
        }
        match modules_changed {
            true => apply_modules(serving, workers).await,
            false => serving.apply_tls_files(workers).await,
        }
    }

    /// Whatever was wrong with an older state of the file is of the past.
    fn wait_for(&mut self, plugins: String, serving: &Serving) {
        serving.state.change(|serving| serving.last_error = None);
        if self.waits_for.as_ref() != Some(&plugins) {
            tracing::info!(plugins, "the configuration is applied once their modules are compiled");
            self.waits_for = Some(plugins);
        }
    }

    async fn completed(&self, report: ConfigReport, serving: &Serving) -> ConfigReport {
        completed(report, &self.store, &serving.host, &serving.applied.prepared).await
    }

    async fn prepared(&self, loaded: Loaded, serving: &Serving) -> Result<Candidate, Unready> {
        let Loaded { set, digest, document } = loaded;
        let identity = Identity::Digest(digest);
        if identity != serving.applied.identity {
            let missing = harmful(&set, missing_modules(&serving.host, &set, &self.plugins), serving);
            if !missing.is_empty() {
                return Err(Unready::Refused(settings_report(&document, &missing)));
            }
        }
        match serving.host.prepare(&set, &serving.applied.prepared).await {
            Ok(prepared) => {
                tell_refused(&document, &prepared);
                let credentials = self.credentials(&set, serving);
                Ok(Candidate { set, credentials, prepared, identity })
            }
            Err(unprepared) if unprepared.waiting => {
                let plugins: Vec<_> = unprepared.problems.iter().map(|problem| problem.plugin.as_str()).collect();
                Err(Unready::Waiting(plugins.join(", ")))
            }
            Err(unprepared) => Err(Unready::Refused(settings_report(&document, &unprepared.problems))),
        }
    }

    /// The same as before as long as no consumer changes.
    fn credentials(&self, set: &ConfigSet, serving: &Serving) -> Arc<Credentials> {
        let applied = &serving.applied;
        credentials_of(set, &self.pepper, Some((&applied.set, &applied.credentials)))
    }

    /// The file once it rests: a beginning of it may be valid, and lack what protects a route. `None`
    /// when it does not come to rest; it is looked at again.
    async fn read_settled(&mut self, serving: &Serving) -> Option<Result<Loaded, ConfigReport>> {
        let read = || self.store.read(Some(&serving.applied.set), environment);
        settled::read(self.store.path(), &mut self.taken, read).await
    }
}

/// New modules under the configuration that serves: a broken file must not hold them up.
async fn apply_modules(serving: &mut Serving, workers: &[WorkerHandle]) {
    let set = Arc::clone(&serving.applied.set);
    match serving.host.prepare(&set, &serving.applied.prepared).await {
        Ok(prepared) => {
            let candidate = serving.same(prepared);
            serving.apply(candidate, workers).await;
        }
        Err(unprepared) => {
            tracing::error!(count = unprepared.problems.len(), "modules refused by the configuration that serves")
        }
    }
}

fn refuse(report: &ConfigReport, serving: &Serving) {
    let message = report.render_plain();
    serving.state.change(|serving| {
        let known = serving.last_error.as_ref().is_some_and(|(last, _)| *last == message);
        if !known {
            tracing::error!(
                problems = report.findings().len(),
                "configuration refused, the last good one serves\n{message}"
            );
            serving.refused += 1;
            serving.last_error = Some((message, SystemTime::now()));
        }
    });
}

/// Those of the problems that would degrade what serves now.
fn harmful(set: &ConfigSet, problems: Vec<SettingsProblem>, serving: &Serving) -> Vec<SettingsProblem> {
    let Some(snapshot) = &serving.applied.snapshot else { return Vec::new() };
    let degraded: Vec<String> = snapshot.degraded().into_iter().map(|(place, _)| place).collect();
    let serves = |place: String| !degraded.contains(&place);
    let serving_route = |name: &Name| snapshot.set.routes.contains_key(name) && serves(format!("route {name}"));
    let serving_consumer =
        |name: &Name| snapshot.set.consumers.contains_key(name) && serves(format!("consumer {name}"));
    let harms = |problem: &SettingsProblem| {
        let plugin = &problem.plugin;
        let routes = set.routes.values().filter(|route| serving_route(&route.name));
        let mut chains = routes.map(|route| set.route_chain(route));
        let mut consumers = set.consumers.values().filter(|consumer| serving_consumer(&consumer.name));
        chains.any(|chain| chain.links.iter().any(|link| link.plugin.name == *plugin))
            || consumers.any(|consumer| consumer.chain.iter().any(|entry| entry.plugin == *plugin))
    };
    problems.into_iter().filter(harms).collect()
}
