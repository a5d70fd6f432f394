//! What the fake gateway knows. The plugin reaches it through a thread-local, as the real one is
//! reached through imports without a parameter.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::counter::Counters;
use super::gateway::LogLine;
use super::host::kv::Scope;
use super::message::{Fields, TestRequest, TestResponse};

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// Runs plugin code with this state as its gateway.
pub(crate) fn enter<R>(state: &Rc<RefCell<State>>, phase: Phase, code: impl FnOnce() -> R) -> R {
    state.borrow_mut().phase = phase;
    let outer = CURRENT.replace(Some(state.clone()));
    let result = code();
    CURRENT.set(outer);
    let mut state = state.borrow_mut();
    state.phase = Phase::Outside;
    state.end_hook();
    result
}

/// One host call.
///
/// # Panics
/// Outside of a hook: plugin code has a gateway only while the harness calls it.
pub(crate) fn with<R>(call: impl FnOnce(&mut State) -> R) -> R {
    let state = CURRENT.with_borrow(Clone::clone);
    let state = state.expect("only a plugin that `testing::Gateway` configures or calls may call the gateway");
    let mut state = state.borrow_mut();
    call(&mut state)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Outside,
    Configure,
    Request,
    RequestBody,
    Response,
    ResponseBody,
    Log,
}

pub(crate) struct State {
    pub phase: Phase,
    pub exchange: Option<Current>,
    pub consumers: Vec<Consumer>,
    /// Credentials found in this hook, each the consumer's place.
    pub found: Vec<usize>,
    pub counters: Counters,
    pub kv: HashMap<(Scope, Vec<u8>), Kept>,
    /// Target and content.
    pub sinks: Vec<(String, Vec<u8>)>,
    pub sinks_full: bool,
    pub log: Vec<LogLine>,
    pub now: Duration,
    pub random: u64,
    values: Vec<Vec<u8>>,
    /// Number of the first of `values`: numbers are not used twice, so a stale one is noticed.
    first_value: u32,
}

/// A value, and when it ends.
pub(crate) type Kept = (Vec<u8>, Option<Duration>);

pub(crate) struct Consumer {
    pub name: String,
    pub keys: Vec<String>,
}

/// The current request and its response.
pub(crate) struct Current {
    pub request: TestRequest,
    pub request_sent: bool,
    pub response: Option<TestResponse>,
    pub response_sent: bool,
    pub prepared: Option<TestResponse>,
    /// Changes to the response, made before there is one.
    pub collected: Vec<Change>,
    pub consumer: Option<usize>,
    pub context: HashMap<u32, Vec<u8>>,
    pub log_fields: Vec<(String, Vec<u8>)>,
    pub piece: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set(String, Vec<u8>),
    Append(String, Vec<u8>),
    Remove(String),
}

impl Change {
    pub fn apply(&self, fields: &mut Fields) {
        match self {
            Change::Set(name, value) => fields.set(name, value),
            Change::Append(name, value) => fields.append(name, value),
            Change::Remove(name) => fields.remove(name),
        }
    }

    pub fn name(&self) -> &str {
        let (Change::Set(name, _) | Change::Append(name, _) | Change::Remove(name)) = self;
        name
    }
}

impl State {
    pub fn new() -> Self {
        Self {
            phase: Phase::Outside,
            exchange: None,
            consumers: Vec::new(),
            found: Vec::new(),
            counters: Counters::default(),
            kv: HashMap::new(),
            sinks: Vec::new(),
            sinks_full: false,
            log: Vec::new(),
            // 2026-01-01: windows that are aligned to the epoch then start on a whole day.
            now: Duration::from_secs(1_767_225_600),
            random: 0x5eed,
            values: Vec::new(),
            first_value: 1,
        }
    }

    pub fn make(&mut self, bytes: impl Into<Vec<u8>>) -> u32 {
        self.values.push(bytes.into());
        self.first_value + u32::try_from(self.values.len() - 1).expect("a hook makes fewer values")
    }

    pub fn make_optional(&mut self, bytes: Option<impl Into<Vec<u8>>>) -> u32 {
        bytes.map_or(0, |bytes| self.make(bytes))
    }

    /// 0 reads as empty.
    pub fn read(&self, value: u32) -> &[u8] {
        if value == 0 {
            return &[];
        }
        let index = value.checked_sub(self.first_value).and_then(|index| self.values.get(index as usize));
        index.unwrap_or_else(|| panic!("value {value} was not handed out in this hook: the plugin would trap"))
    }

    pub fn current(&mut self) -> &mut Current {
        let phase = self.phase;
        self.exchange.as_mut().unwrap_or_else(|| panic!("there is no current request in {phase:?}: it would trap"))
    }

    fn end_hook(&mut self) {
        self.first_value += u32::try_from(self.values.len()).expect("a hook makes fewer values");
        self.values.clear();
        self.found.clear();
    }
}
