//! Makes the configured uses of a configuration, aside, before anything is swapped.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use tollgate_model::entity::{OnError, Plugin};
use tollgate_model::problem::Complaint;
use tollgate_model::{ConfigSet, Kind, Name};

use crate::host::Host;
use crate::instance::{Fault, Instance};
use crate::module::{ModuleGeneration, Unavailable, Verdict};
use crate::plugin::{PluginUse, Subscription};
use crate::settings::{SettingsProblem, dotted_below_config, schema_problems};

/// Every plugin of a configuration: a use that its module accepted, or why it can't be served.
#[derive(Clone, Default)]
pub struct Prepared {
    pub plugins: BTreeMap<Name, Result<Arc<PluginUse>, Degraded>>,
    /// Why modules refused what is degraded.
    pub problems: Vec<SettingsProblem>,
}

/// Why something of the configuration can't be served on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded(pub Arc<str>);

/// Why a configuration can't be put in place as it is.
pub struct Unprepared {
    pub problems: Vec<SettingsProblem>,
    /// All of them are over once modules are compiled; [`Host::module_ready`] tells when.
    pub waiting: bool,
}

/// What a configuration is prepared against.
struct Before<'p> {
    previous: &'p Prepared,
    /// Nothing serves yet.
    starting: bool,
}

impl Before<'_> {
    /// Nothing that serves is lost if this plugin does not.
    fn may_degrade(&self, plugin: &Plugin) -> bool {
        self.starting || matches!(self.previous.plugins.get(&plugin.name), Some(Err(_)))
    }
}

impl Host {
    /// Makes a use of every plugin, on the newest build of its module that accepts all uses of it.
    /// A use that did not change is the same one as before. Settings that the serving build refuses
    /// are problems; a module that can't be loaded degrades its plugins only, and a plugin that was
    /// degraded may stay so. Which builds serve changes only when the whole configuration is accepted.
    pub async fn prepare(&self, set: &ConfigSet, previous: &Prepared) -> Result<Prepared, Unprepared> {
        self.prepare_all(set, &Before { previous, starting: false }).await
    }

    /// As [`Host::prepare`], where nothing serves that could go on: what a module refuses degrades its
    /// plugins, so that a build that was put into the folder meanwhile takes no other route with it.
    pub async fn prepare_first(&self, set: &ConfigSet) -> Result<Prepared, Vec<SettingsProblem>> {
        let unprepared = |unprepared: Unprepared| unprepared.problems;
        self.prepare_all(set, &Before { previous: &Prepared::default(), starting: true }).await.map_err(unprepared)
    }

    /// As [`Host::prepare`], of a set that was accepted elsewhere: nothing of it is refused. What a module does not take,
    /// or a module that is not there yet, degrades its plugins and nothing else.
    pub async fn prepare_following(&self, set: &ConfigSet, previous: &Prepared) -> Prepared {
        let mut prepared = match self.prepare_all(set, &Before { previous, starting: true }).await {
            Ok(prepared) => prepared,
            Err(unprepared) => {
                // Every plugin may degrade, so there is no such answer; whatever comes fails closed.
                let reason = Degraded("its module could not be asked".into());
                let plugins = set.plugins.keys().map(|name| (name.clone(), Err(reason.clone())));
                Prepared { plugins: plugins.collect(), problems: unprepared.problems }
            }
        };
        for ((kind, name), reason) in &set.broken {
            if let (Kind::Plugin, Ok(name)) = (kind, Name::parse(name)) {
                prepared.plugins.insert(name, Err(Degraded(reason.as_str().into())));
            }
        }
        prepared
    }

    /// What modules refuse of the settings in a set that is not going to serve.
    pub async fn settings_problems(&self, set: &ConfigSet, previous: &Prepared) -> Vec<SettingsProblem> {
        self.refused_settings(set, previous, |unfit| !unfit.for_now).await
    }

    pub(crate) async fn refused_settings(
        &self,
        set: &ConfigSet,
        previous: &Prepared,
        counts: impl Fn(&Unfit) -> bool,
    ) -> Vec<SettingsProblem> {
        let mut found = Vec::new();
        for (module, plugins) in by_module(set) {
            let prepared = self.prepare_module(module, &plugins, &Before { previous, starting: false }).await;
            found.extend(prepared.err().filter(&counts).into_iter().flat_map(|unfit| unfit.problems));
        }
        found
    }

    /// Plugins whose modules were never seen in the folder.
    pub fn missing_modules(&self, set: &ConfigSet) -> Vec<SettingsProblem> {
        let missing = set.plugins.values().filter(|plugin| self.library.is_missing(&plugin.module));
        let problem = |plugin: &Arc<Plugin>| {
            let Complaint { message, hint } = self.library.not_found(&plugin.module);
            SettingsProblem { hint, ..SettingsProblem::new(&plugin.name, "module", message) }
        };
        missing.map(problem).collect()
    }

    /// Plugins that can't be used although their modules are in the folder.
    pub fn unusable_modules(&self, set: &ConfigSet, prepared: &Prepared) -> Vec<SettingsProblem> {
        let degraded = prepared.plugins.iter().filter_map(|(name, plugin)| Some((name, plugin.as_ref().err()?)));
        let is_there =
            |name: &Name| set.plugins.get(name).is_some_and(|plugin| !self.library.is_missing(&plugin.module));
        let present = degraded.filter(|(name, _)| is_there(name));
        present.map(|(name, reason)| SettingsProblem::new(name, "module", reason.to_string())).collect()
    }

    async fn prepare_all(&self, set: &ConfigSet, before: &Before<'_>) -> Result<Prepared, Unprepared> {
        let by_module = by_module(set);
        let mut prepared = Prepared::default();
        let mut verdicts = Vec::new();
        let mut unfit = Unfit::default();
        for (&module, plugins) in &by_module {
            match self.prepare_module(module, plugins, before).await {
                Ok(uses) => {
                    prepared.plugins.extend(uses.plugins);
                    prepared.problems.extend(uses.problems);
                    verdicts.extend(uses.verdict.map(|(generation, verdict)| (module.clone(), generation, verdict)));
                }
                Err(found) => unfit.add(found),
            }
        }
        if !unfit.problems.is_empty() {
            if unfit.for_now {
                self.library.try_again_soon();
            }
            return Err(Unprepared { problems: unfit.problems, waiting: unfit.waiting });
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
        before: &Before<'_>,
    ) -> Result<ModuleUses, Unfit> {
        let candidate = match self.library.candidate(name, plugins) {
            Ok(candidate) => candidate,
            Err(unavailable) => return without_module(unavailable, plugins, before),
        };
        let newest = self.uses(&candidate.newest, plugins, before).await;
        let (mut uses, verdict) = match (newest, candidate.serving) {
            (Ok((uses, None)), _) => (uses, Verdict::Accepted),
            (Ok((uses, Some(unfit))), None) if unfit.for_now => (uses, unfit.verdict(plugins)),
            (Ok((uses, Some(_))), _) if !uses.serve_none() => (uses, Verdict::Accepted),
            (Ok((_, Some(unfit))) | Err(unfit), Some(serving)) => {
                let (uses, _) = self.uses(&serving, plugins, before).await?;
                (uses, unfit.verdict(plugins))
            }
            (Ok((uses, Some(unfit))), None) => (uses, unfit.verdict(plugins)),
            (Err(unfit), None) => return Err(unfit),
        };
        uses.verdict = Some((candidate.newest, verdict));
        Ok(uses)
    }

    /// Uses of one generation, and what is wrong with those that are degraded. Settings are tried on an
    /// instance of their own.
    async fn uses(
        &self,
        module: &Arc<ModuleGeneration>,
        plugins: &[&Arc<Plugin>],
        before: &Before<'_>,
    ) -> Result<(ModuleUses, Option<Unfit>), Unfit> {
        let mut trial = None;
        let mut uses = ModuleUses::default();
        let (mut unfit, mut degraded) = (Unfit::default(), Unfit::default());
        for plugin in plugins {
            if let Some(Ok(old)) = before.previous.plugins.get(&plugin.name)
                && Arc::ptr_eq(old.module(), module)
                && (Arc::ptr_eq(old.entity(), plugin) || old.entity() == *plugin)
            {
                uses.plugins.push((plugin.name.clone(), Ok(Arc::clone(old))));
                continue;
            }
            match self.accepted_use(module, plugin, &mut trial).await {
                Ok(accepted) => uses.plugins.push((plugin.name.clone(), Ok(accepted))),
                Err(found) if before.may_degrade(plugin) => {
                    uses.plugins.push((plugin.name.clone(), Err(found.degraded(module))));
                    uses.problems.extend(found.problems.iter().cloned());
                    degraded.add(found);
                }
                Err(found) => unfit.add(found),
            }
        }
        match unfit.problems.is_empty() {
            true => Ok((uses, (!degraded.problems.is_empty()).then_some(degraded))),
            false => Err(unfit),
        }
    }

    async fn accepted_use(
        &self,
        module: &Arc<ModuleGeneration>,
        plugin: &Arc<Plugin>,
        trial: &mut Option<Instance>,
    ) -> Result<Arc<PluginUse>, Unfit> {
        let problem = |path: &str, message: String| SettingsProblem::new(&plugin.name, path, message);
        let mut found: Vec<_> = policy(module, plugin).into_iter().map(|(path, text)| problem(path, text)).collect();
        let settings = serde_json::Value::Object(plugin.config.clone());
        found.extend(schema_problems(module, &plugin.name, &settings));
        if !found.is_empty() {
            return Err(Unfit::refused(found));
        }
        let failed = |path: &str, what: &str, fault: Fault| Unfit {
            problems: vec![problem(path, format!("{what}: {}", fault.detail))],
            for_now: fault.is_transient(),
            waiting: false,
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
        Err(Unfit::refused(problems))
    }
}

/// The uses of one module, by name.
#[derive(Default)]
struct ModuleUses {
    plugins: Vec<(Name, Result<Arc<PluginUse>, Degraded>)>,
    /// Of the degraded ones.
    problems: Vec<SettingsProblem>,
    /// On the newest build.
    verdict: Option<(Arc<ModuleGeneration>, Verdict)>,
}

impl ModuleUses {
    fn serve_none(&self) -> bool {
        self.plugins.iter().all(|(_, plugin)| plugin.is_err())
    }
}

fn by_module(set: &ConfigSet) -> BTreeMap<&Name, Vec<&Arc<Plugin>>> {
    let mut by_module: BTreeMap<&Name, Vec<&Arc<Plugin>>> = BTreeMap::new();
    for plugin in set.plugins.values() {
        by_module.entry(&plugin.module).or_default().push(plugin);
    }
    by_module
}

/// Why a build does not serve its uses.
pub(crate) struct Unfit {
    problems: Vec<SettingsProblem>,
    /// Nothing was refused: the node had no instance or no time to ask.
    pub(crate) for_now: bool,
    /// There is no build to ask yet.
    pub(crate) waiting: bool,
}

impl Unfit {
    fn refused(problems: Vec<SettingsProblem>) -> Unfit {
        Unfit { problems, for_now: false, waiting: false }
    }

    fn add(&mut self, other: Unfit) {
        self.problems.extend(other.problems);
        self.for_now &= other.for_now;
        self.waiting &= other.waiting;
    }

    /// Without the messages, which may quote settings: reasons are shown to anybody.
    fn degraded(&self, module: &ModuleGeneration) -> Degraded {
        let name = module.name();
        let reason = match self.for_now {
            true => format!("module `{name}` could not be tried with its settings"),
            false => {
                let paths: Vec<&str> = self.problems.iter().map(|problem| problem.path.as_str()).collect();
                format!("module `{name}` does not accept {}; the log says why", paths.join(", "))
            }
        };
        Degraded(reason.into())
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
        Unfit { problems: Vec::new(), for_now: true, waiting: true }
    }
}

/// Without a build, plugins are degraded. Those that could serve before the module is compiled would
/// only be so for a moment: the configuration waits instead.
fn without_module(
    unavailable: Unavailable,
    plugins: &[&Arc<Plugin>],
    before: &Before<'_>,
) -> Result<ModuleUses, Unfit> {
    let reason = match unavailable {
        Unavailable::Missing(reason) => reason,
        Unavailable::Loading(reason) => {
            let waiting: Vec<_> = plugins.iter().filter(|plugin| !before.may_degrade(plugin)).collect();
            if !waiting.is_empty() {
                let message = format!("{reason}; the configuration is applied after that");
                let problem = |plugin: &Plugin| SettingsProblem::new(&plugin.name, "module", message.clone());
                let problems = waiting.into_iter().map(|plugin| problem(plugin)).collect();
                return Err(Unfit { waiting: true, ..Unfit::refused(problems) });
            }
            reason
        }
    };
    let reason = Degraded(reason.into());
    let plugins = plugins.iter().map(|plugin| (plugin.name.clone(), Err(reason.clone()))).collect();
    Ok(ModuleUses { plugins, ..ModuleUses::default() })
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
fn excess(module: &ModuleGeneration, subscription: Subscription) -> Option<String> {
    let beyond = subscription.hooks.beyond(module.manifest().hooks);
    if !beyond.is_empty() {
        return Some(format!("the module wants hooks that its manifest does not name: {}", beyond.join(", ")));
    }
    let held_back = subscription.request_body_limit.max(subscription.response_body_limit);
    (held_back > HELD_BACK_BYTES)
        .then(|| format!("the module wants bodies held back up to {held_back} bytes; the most is {HELD_BACK_BYTES}"))
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
