//! Makes the configured uses of a configuration, aside, before anything is swapped.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use tollgate_model::entity::{OnError, Plugin};
use tollgate_model::{ConfigSet, Name};

use crate::abi;
use crate::host::Host;
use crate::instance::{Fault, Instance};
use crate::module::{Hooks, ModuleGeneration, Unavailable, Verdict};
use crate::plugin::PluginUse;

/// Every plugin of a configuration: a use that its module accepted, or why it can't be served.
#[derive(Clone, Default)]
pub struct Prepared {
    pub plugins: BTreeMap<Name, Result<Arc<PluginUse>, Degraded>>,
}

/// Why something of the configuration can't be served on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded(pub Arc<str>);

/// Something wrong with a plugin's settings, grants or policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    pub plugin: Name,
    /// Below the plugin's table: `config.limits[0].window`, `grants`, `on_error`.
    pub path: String,
    pub message: String,
}

impl Host {
    /// Makes a use of every plugin, on the newest build of its module that accepts all uses of it.
    /// A use that did not change is the same one as before. Settings that the serving build refuses
    /// are problems; a module that can't be loaded degrades its plugins only. Which builds serve
    /// changes only when the whole configuration is accepted.
    pub async fn prepare(&self, set: &ConfigSet, previous: &Prepared) -> Result<Prepared, Vec<SettingsProblem>> {
        let mut by_module: BTreeMap<&Name, Vec<&Arc<Plugin>>> = BTreeMap::new();
        for plugin in set.plugins.values() {
            by_module.entry(&plugin.module).or_default().push(plugin);
        }
        let mut prepared = Prepared::default();
        let mut verdicts = Vec::new();
        let mut unfit = Unfit::default();
        for (&module, plugins) in &by_module {
            match self.prepare_module(module, plugins, previous).await {
                Ok((uses, verdict)) => {
                    prepared.plugins.extend(uses);
                    verdicts.extend(verdict.map(|(generation, verdict)| (module.clone(), generation, verdict)));
                }
                Err(found) => unfit.add(found),
            }
        }
        if !unfit.problems.is_empty() {
            if unfit.for_now {
                self.library.try_again_soon();
            }
            return Err(unfit.problems);
        }
        self.library.settle(verdicts);
        let names: HashSet<&str> = prepared.plugins.keys().map(Name::as_str).collect();
        self.services.kv.retain(|plugin| names.contains(plugin));
        self.library.promote_unused(|name| by_module.contains_key(name));
        Ok(prepared)
    }

    async fn prepare_module(
        &self,
        name: &Name,
        plugins: &[&Arc<Plugin>],
        previous: &Prepared,
    ) -> Result<(ModuleUses, Option<(Arc<ModuleGeneration>, Verdict)>), Unfit> {
        let candidate = match self.library.candidate(name, plugins) {
            Ok(candidate) => candidate,
            Err(unavailable) => return Ok((without_module(unavailable, plugins, previous)?, None)),
        };
        let (uses, verdict) = match (self.uses(&candidate.newest, plugins, previous).await, candidate.serving) {
            (Ok(uses), _) => (uses, Verdict::Accepted),
            (Err(unfit), Some(serving)) => {
                let uses = self.uses(&serving, plugins, previous).await?;
                (uses, unfit.verdict(plugins))
            }
            (Err(unfit), None) => return Err(unfit),
        };
        let uses = uses.into_iter().map(|plugin| (plugin.entity().name.clone(), Ok(plugin))).collect();
        Ok((uses, Some((candidate.newest, verdict))))
    }

    /// Uses of one generation. Settings are tried on an instance of their own.
    async fn uses(
        &self,
        module: &Arc<ModuleGeneration>,
        plugins: &[&Arc<Plugin>],
        previous: &Prepared,
    ) -> Result<Vec<Arc<PluginUse>>, Unfit> {
        let mut trial = None;
        let mut uses = Vec::with_capacity(plugins.len());
        let mut unfit = Unfit::default();
        for plugin in plugins {
            if let Some(Ok(old)) = previous.plugins.get(&plugin.name)
                && Arc::ptr_eq(old.module(), module)
                && (Arc::ptr_eq(old.entity(), plugin) || old.entity() == *plugin)
            {
                uses.push(Arc::clone(old));
                continue;
            }
            match self.accepted_use(module, plugin, &mut trial).await {
                Ok(accepted) => uses.push(accepted),
                Err(found) => unfit.add(found),
            }
        }
        if unfit.problems.is_empty() { Ok(uses) } else { Err(unfit) }
    }

    async fn accepted_use(
        &self,
        module: &Arc<ModuleGeneration>,
        plugin: &Arc<Plugin>,
        trial: &mut Option<Instance>,
    ) -> Result<Arc<PluginUse>, Unfit> {
        let problem = |path: &str, message: String| SettingsProblem {
            plugin: plugin.name.clone(),
            path: path.to_owned(),
            message,
        };
        let mut found: Vec<_> = policy(module, plugin).into_iter().map(|(path, text)| problem(path, text)).collect();
        let settings = serde_json::Value::Object(plugin.config.clone());
        for error in module.schema().iter_errors(&settings) {
            found.push(problem(&below_config(error.instance_path().as_str()), error.to_string()));
        }
        if !found.is_empty() {
            return Err(Unfit { problems: found, for_now: false });
        }
        let failed = |path: &str, what: &str, fault: Fault| Unfit {
            problems: vec![problem(path, format!("{what}: {}", fault.detail))],
            for_now: fault.is_transient(),
        };
        let accepted = self.new_use(plugin, module);
        let kept = match trial.take() {
            // What other uses left in it is none of this one's business: if it fails, a fresh one decides.
            Some(mut kept) => kept.configure(&accepted).await.ok().map(|answer| (kept, answer)),
            None => None,
        };
        let (instance, answer) = match kept {
            Some(configured) => configured,
            None => {
                let mut fresh = Instance::start(module, &self.services)
                    .await
                    .map_err(|fault| failed("", "the module can't be started", fault))?;
                let answer = fresh
                    .configure(&accepted)
                    .await
                    .map_err(|fault| failed("config", "the module failed over the settings", fault))?;
                (fresh, answer)
            }
        };
        let sinks = instance.sinks(accepted.id());
        // Thousands of uses need not fit into the memory of one instance.
        if instance.memory() <= self.config.memory / 2 {
            *trial = Some(instance);
        }
        let problems = match answer {
            Err(refused) => refused
                .into_iter()
                .map(|refused| problem(&dotted_below_config(&refused.path), refused.message))
                .collect(),
            Ok(subscription) => match excess(module, subscription) {
                Some(message) => vec![problem("config", message)],
                None => {
                    accepted.accept(subscription, sinks);
                    return Ok(accepted);
                }
            },
        };
        Err(Unfit { problems, for_now: false })
    }
}

/// The uses of one module, by name.
type ModuleUses = Vec<(Name, Result<Arc<PluginUse>, Degraded>)>;

/// Why a build does not serve its uses.
struct Unfit {
    problems: Vec<SettingsProblem>,
    /// Nothing was refused: the node had no instance or no time to ask.
    for_now: bool,
}

impl Unfit {
    fn add(&mut self, other: Unfit) {
        self.problems.extend(other.problems);
        self.for_now &= other.for_now;
    }

    fn verdict(self, plugins: &[&Arc<Plugin>]) -> Verdict {
        let (uses, message) = (plugins.iter().copied().cloned().collect(), refusal(&self.problems));
        match self.for_now {
            true => Verdict::Untried { uses, message },
            false => Verdict::Refused { uses, message },
        }
    }
}

impl Default for Unfit {
    fn default() -> Unfit {
        Unfit { problems: Vec::new(), for_now: true }
    }
}

/// Without a build, plugins are degraded. Those that could serve before the module is compiled would
/// only be so for a moment: the configuration waits instead.
fn without_module(
    unavailable: Unavailable,
    plugins: &[&Arc<Plugin>],
    previous: &Prepared,
) -> Result<ModuleUses, Unfit> {
    let reason = match unavailable {
        Unavailable::Missing(reason) => reason,
        Unavailable::Loading(reason) => {
            let is_degraded = |plugin: &Plugin| matches!(previous.plugins.get(&plugin.name), Some(Err(_)));
            let waiting: Vec<_> = plugins.iter().filter(|plugin| !is_degraded(plugin)).collect();
            if !waiting.is_empty() {
                let problem = |plugin: &Plugin| SettingsProblem {
                    plugin: plugin.name.clone(),
                    path: "module".to_owned(),
                    message: format!("{reason}; the configuration is applied after that"),
                };
                let problems = waiting.into_iter().map(|plugin| problem(plugin)).collect();
                return Err(Unfit { problems, for_now: false });
            }
            reason
        }
    };
    let reason = Degraded(reason.into());
    Ok(plugins.iter().map(|plugin| (plugin.name.clone(), Err(reason.clone()))).collect())
}

/// What the operator's side of a use may not be, whatever the settings.
fn policy(module: &ModuleGeneration, plugin: &Plugin) -> Vec<(&'static str, String)> {
    let manifest = module.manifest();
    let asks = |capability: &str| manifest.capabilities.contains(&capability);
    let mut wrong = Vec::new();
    if manifest.decides_access && plugin.on_error == OnError::Open {
        wrong.push((
            "on_error",
            format!(
                "module `{}` decides access: a failure of it must never let requests pass; use \"closed\"",
                module.name()
            ),
        ));
    }
    if asks("credentials") && !plugin.grants.credentials {
        wrong.push((
            "grants",
            format!(
                "module `{}` asks to look up credentials; allow it with grants = {{ credentials = true }}",
                module.name()
            ),
        ));
    }
    let surplus = [
        ("credentials", plugin.grants.credentials, "credentials"),
        ("files", !plugin.grants.files.is_empty(), "files"),
        ("standard-output", plugin.grants.standard_output, "standard_output"),
    ];
    for (capability, granted, key) in surplus {
        if granted && !asks(capability) {
            wrong.push(("grants", format!("module `{}` does not ask for `{key}`; remove the grant", module.name())));
        }
    }
    wrong
}

/// What a module wants for a use and can't have.
fn excess(module: &ModuleGeneration, subscription: abi::Subscription) -> Option<String> {
    let beyond = Hooks::from_abi(subscription.hooks).beyond(module.manifest().hooks);
    if !beyond.is_empty() {
        return Some(format!("the module wants hooks that its manifest does not name: {}", beyond.join(", ")));
    }
    let held_back = subscription.request_body_limit.max(subscription.response_body_limit);
    (held_back > HELD_BACK_BYTES)
        .then(|| format!("the module wants bodies held back up to {held_back} bytes; the most is {HELD_BACK_BYTES}"))
}

/// `/limits/0/window` (a JSON pointer) as `config.limits[0].window`.
fn below_config(pointer: &str) -> String {
    let mut path = "config".to_owned();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        match part.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) => {
                path.push('.');
                path.push_str(&part);
            }
        }
    }
    path
}

fn dotted_below_config(path: &str) -> String {
    match path {
        "" => "config".to_owned(),
        path if path.starts_with('[') => format!("config{path}"),
        path => format!("config.{path}"),
    }
}

fn refusal(problems: &[SettingsProblem]) -> String {
    let mut text = String::from("does not accept its uses: ");
    for (i, problem) in problems.iter().take(REFUSALS_SHOWN).enumerate() {
        if i > 0 {
            text.push_str("; ");
        }
        text.push_str(&format!("{}: {}: {}", problem.plugin, problem.path, problem.message));
    }
    if problems.len() > REFUSALS_SHOWN {
        text.push_str(&format!("; and {} more", problems.len() - REFUSALS_SHOWN));
    }
    text
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const REFUSALS_SHOWN: usize = 5;
/// Of a body, for a hook that wants it whole: 16 MiB.
const HELD_BACK_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_become_paths_of_the_configuration() {
        assert_eq!(below_config("/limits/0/window"), "config.limits[0].window");
        assert_eq!(below_config(""), "config");
        assert_eq!(dotted_below_config("limits[0].by"), "config.limits[0].by");
    }
}
