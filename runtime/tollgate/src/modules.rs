//! Where the plugin host and the database meet: modules of the cluster, and settings checked before they are stored.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tollgate_control::configuration::{Feed, StoredModule};
use tollgate_control::writer::SettingsCheck;
use tollgate_model::decode::Place;
use tollgate_model::entity::Plugin;
use tollgate_model::{Problem, Problems};
use tollgate_plugin_host::{Host, ModuleSource, SettingsProblem};
use tollgate_proxy::ServerCertificate;
use tollgate_store::database::Database;

/// The bytes of the cluster's modules.
pub struct StoredBytes(Database);

impl StoredBytes {
    pub fn of(feed: &Feed) -> Arc<StoredBytes> {
        Arc::new(StoredBytes(feed.database().clone()))
    }
}

impl ModuleSource for StoredBytes {
    fn fetch(&self, digest: String) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>> {
        let database = self.0.clone();
        Box::pin(async move {
            let found = database.blob(&digest).await.map_err(|error| error.to_string())?;
            found.ok_or_else(|| "the database does not have its bytes".to_owned())
        })
    }
}

/// Asks the modules of this node; of those that only the cluster has, their schemas.
pub struct Settings(pub Arc<Host>);

impl SettingsCheck for Settings {
    fn check<'a>(
        &'a self,
        plugins: &'a [Arc<Plugin>],
        modules: &'a BTreeMap<String, StoredModule>,
    ) -> Pin<Box<dyn Future<Output = Problems> + Send + 'a>> {
        Box::pin(async move {
            let (here, elsewhere): (Vec<_>, Vec<_>) =
                plugins.iter().cloned().partition(|plugin| self.0.has_module(plugin));
            let mut found = self.0.check_settings(&here).await;
            for plugin in elsewhere {
                if let Some(module) = modules.get(plugin.module.as_str()) {
                    found.extend(Host::check_by_schema(&module.schema, &plugin));
                }
            }
            Problems(found.into_iter().map(located).collect())
        })
    }

    fn certificate(&self, chain: &str, key: &str) -> Result<(), String> {
        let read = ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes());
        read.map(drop).map_err(|error| error.to_string())
    }

    fn inspect(&self, bytes: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<StoredModule, String>> + Send + '_>> {
        Box::pin(async move {
            let about = self.0.inspect(bytes).await?;
            let texts = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
            Ok(StoredModule {
                digest: about.digest,
                size: about.size,
                version: about.version,
                description: about.description,
                hooks: texts(about.hooks),
                capabilities: texts(about.capabilities),
                schema: about.schema,
            })
        })
    }
}

fn located(problem: SettingsProblem) -> Problem {
    let SettingsProblem { plugin, path, message, hint, part } = problem;
    let section = Place::Root.key("plugins");
    let mut located = Problem { hint, part, ..Problem::new(&section.key(plugin.as_str()), message) };
    if !path.is_empty() {
        located.path = format!("{}.{path}", located.path);
    }
    located
}
