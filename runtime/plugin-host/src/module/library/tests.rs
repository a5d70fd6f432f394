use std::sync::Arc;

use tollgate_limits::Local;
use tollgate_model::Name;
use tollgate_model::entity::Plugin;
use wasmtime::Module;

use super::super::{Hooks, LogWindow, Manifest, ModuleGeneration};
use super::{Library, ModuleState, Unavailable, Verdict};
use crate::abi::tests::whole_world;
use crate::{Host, HostConfig};

/// A library that nobody else touches, and what its generations are made from.
struct Bench {
    library: Library,
    host: Arc<Host>,
    module: Module,
    name: Name,
}

impl Bench {
    fn new() -> Bench {
        let folder = std::env::temp_dir();
        let config = HostConfig { instances: 1, ..HostConfig::new(folder.clone(), folder) };
        let host = Host::start(config, Arc::new(Local::new())).unwrap();
        let module = Module::new(&host.engine, whole_world()).unwrap();
        Bench { library: Library::start(1).unwrap(), host, module, name: Name::parse("limits").unwrap() }
    }

    /// A file was put into the folder and compiled.
    fn load(&self, number: u64) -> Arc<ModuleGeneration> {
        let generation = Arc::new(ModuleGeneration {
            name: "limits".into(),
            number,
            digest: blake3::hash(&number.to_be_bytes()),
            size: 1,
            manifest: Manifest {
                name: "limits".into(),
                version: "1.0.0".into(),
                description: String::new(),
                hooks: Hooks::default(),
                capabilities: Vec::new(),
                decides_access: false,
                settings_schema: serde_json::Value::Bool(true),
            },
            memory: 1 << 20,
            share: self.library.share(&self.name),
            pre: self.host.linker.instantiate_pre(&self.module).unwrap(),
            schema: jsonschema::validator_for(&serde_json::Value::Bool(true)).unwrap(),
            loaded_at: std::time::SystemTime::now(),
            log_window: LogWindow::default(),
            faults: self.library.faults(&self.name),
        });
        assert!(self.library.look_at(&self.name, Some(generation.digest)));
        self.library.loaded(&self.name, Some(generation.digest), Ok(Arc::clone(&generation)));
        generation
    }

    /// The generation to try first, and the one that serves while that is open.
    fn choice(&self, uses: &[&Arc<Plugin>]) -> (u64, Option<u64>) {
        match self.library.candidate(&self.name, uses) {
            Ok(candidate) => (candidate.newest.number, candidate.serving.map(|serving| serving.number)),
            Err(Unavailable::Loading(reason) | Unavailable::Missing(reason)) => panic!("{reason}"),
        }
    }

    fn judge(&self, generation: &Arc<ModuleGeneration>, verdict: Verdict) {
        self.library.settle([(self.name.clone(), Arc::clone(generation), verdict)]);
    }

    fn accept(&self, generation: &Arc<ModuleGeneration>) {
        self.judge(generation, Verdict::Accepted);
    }

    fn state(&self) -> ModuleState {
        self.library.report()[0].state
    }
}

fn a_use(limit: u64) -> Arc<Plugin> {
    let config = serde_json::json!({ "limit": limit });
    Arc::new(Plugin {
        name: Name::parse("per-consumer").unwrap(),
        module: Name::parse("limits").unwrap(),
        config: config.as_object().unwrap().clone(),
        on_error: Default::default(),
        isolation: Default::default(),
        grants: Default::default(),
        limits: Default::default(),
        tags: Vec::new(),
    })
}

#[tokio::test]
async fn a_refused_build_is_tried_again_under_other_settings_only() {
    let bench = Bench::new();
    let (old, new) = (a_use(1), a_use(2));
    let first = bench.load(1);
    assert!(bench.library.take_news());
    bench.accept(&first);
    assert!(!bench.library.take_news());

    let second = bench.load(2);
    assert_eq!(bench.choice(&[&old]), (2, Some(1)));
    assert!(bench.library.take_news(), "news as long as nobody tried it");
    let refused = Verdict::Refused { uses: vec![Arc::clone(&old)], message: "says no".into() };
    bench.judge(&second, refused);
    assert_eq!(bench.choice(&[&a_use(1)]), (1, None), "the same settings, read anew");
    assert!(!bench.library.take_news());
    assert_eq!(bench.state(), ModuleState::Stale);

    assert_eq!(bench.choice(&[&new]), (2, Some(1)));
    bench.accept(&second);
    assert_eq!(bench.choice(&[&new]), (2, None));
    assert_eq!(bench.state(), ModuleState::Serving);
}

#[tokio::test]
async fn a_build_that_could_not_be_tried_stays_a_candidate_for_a_while() {
    let bench = Bench::new();
    let plugin = a_use(1);
    let first = bench.load(1);
    bench.accept(&first);
    let second = bench.load(2);
    let untried = || Verdict::Untried { uses: vec![Arc::clone(&plugin)], message: "no instance is free".into() };
    bench.judge(&second, untried());
    assert_eq!(bench.choice(&[&plugin]), (2, Some(1)));
    assert!(bench.library.take_news());
    for _ in 1..super::TRIES {
        bench.judge(&second, untried());
    }
    assert_eq!(bench.choice(&[&plugin]), (1, None), "one that hangs each time is not asked for ever");
}

#[tokio::test]
async fn a_module_that_never_worked_is_forgotten_with_its_file() {
    let bench = Bench::new();
    let ghost = Name::parse("limts").unwrap();
    bench.library.look_at(&ghost, None);
    bench.library.loaded(&ghost, None, Err("is not WebAssembly".into()));
    let first = bench.load(1);
    bench.accept(&first);
    assert!(!bench.library.is_missing(&ghost), "it is there, though broken");

    bench.library.note_removed(|_| false);
    let known: Vec<_> = bench.library.report().into_iter().map(|module| (module.name, module.state)).collect();
    assert_eq!(known, [("limits".to_owned(), ModuleState::Removed)]);
    assert!(bench.library.is_missing(&ghost) && !bench.library.is_missing(&bench.name));
    assert_eq!(bench.library.not_found(&ghost).hint.as_deref(), Some("did you mean `limits`?"));
}

#[tokio::test]
async fn what_became_of_older_bytes_is_nobodys_business() {
    let bench = Bench::new();
    let first = bench.load(1);
    bench.accept(&first);
    assert!(bench.library.look_at(&bench.name, Some(blake3::hash(b"newer"))));
    bench.library.loaded(&bench.name, Some(first.digest), Err("is broken".into()));
    assert_eq!(bench.state(), ModuleState::Serving);
    bench.library.loaded(&bench.name, Some(blake3::hash(b"newer")), Err("is broken".into()));
    assert_eq!(bench.state(), ModuleState::Stale);
}

#[tokio::test]
async fn a_verdict_counts_for_the_build_that_was_asked_only() {
    let bench = Bench::new();
    let plugin = a_use(1);
    let first = bench.load(1);
    bench.accept(&first);
    let second = bench.load(2);
    bench.load(3);
    bench.judge(&second, Verdict::Refused { uses: vec![Arc::clone(&plugin)], message: "says no".into() });
    assert_eq!(bench.choice(&[&plugin]), (3, Some(1)));
    bench.accept(&second);
    assert_eq!(bench.choice(&[&plugin]), (3, Some(2)), "what was accepted serves until the newest is");
}
