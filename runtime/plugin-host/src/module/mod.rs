//! From the bytes of a `.wasm` to a generation that can serve.

pub(crate) mod cache;
mod compile;
mod describe;
mod faults;
mod inspect;
pub(crate) mod form;
mod fuse;
mod library;
mod refresh;
pub(crate) mod stored;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use wasmtime::{Engine, InstancePre};

use crate::guest::Guest;
use crate::share::Share;

pub(crate) use faults::Faults;
pub use inspect::ModuleAbout;
pub(crate) use library::{Library, Unavailable, Verdict};
pub use library::{ModuleReport, ModuleState};

/// One build of a module, compiled and described. Instances, uses and chains hold it; when the last
/// of them lets go, its code is freed.
pub struct ModuleGeneration {
    name: String,
    number: u64,
    digest: blake3::Hash,
    size: usize,
    manifest: Manifest,
    memory: usize,
    share: Arc<Share>,
    faults: Arc<Faults>,
    pre: InstancePre<Guest>,
    schema: jsonschema::Validator,
    loaded_at: SystemTime,
    log_window: LogWindow,
}

/// What a module says of itself.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub description: String,
    /// Every hook that some configuration may use.
    pub hooks: Hooks,
    pub capabilities: Vec<&'static str>,
    pub decides_access: bool,
    pub settings_schema: serde_json::Value,
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    pub request: bool,
    pub request_body: bool,
    pub response: bool,
    pub response_body: bool,
    pub log: bool,
}

impl ModuleGeneration {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts all modules' generations of this process, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// BLAKE3 of the file, in hex.
    pub fn digest(&self) -> String {
        self.digest.to_hex().to_string()
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.module().engine()
    }

    pub(crate) fn pre(&self) -> &InstancePre<Guest> {
        &self.pre
    }

    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Of the process's instances.
    pub(crate) fn share(&self) -> &Share {
        &self.share
    }

    pub(crate) fn schema(&self) -> &jsonschema::Validator {
        &self.schema
    }

    /// Counts a line for the gateway's log; false when this second's share is used up.
    pub(crate) fn may_log(&self, second: u64) -> bool {
        self.log_window.admit(second, LOG_LINES)
    }

    /// Of all generations of the module.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Hooks {
    /// Hooks of `self` that `other` does not have.
    pub(crate) fn beyond(self, other: Hooks) -> Vec<&'static str> {
        self.names().into_iter().filter(|name| !other.names().contains(name)).collect()
    }

    /// In the WIT's words.
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (self.request, "request"),
            (self.request_body, "request-body"),
            (self.response, "response"),
            (self.response_body, "response-body"),
            (self.log, "log"),
        ];
        all.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect()
    }
}

/// Lines logged in the current second: second and count in one word.
#[derive(Default)]
struct LogWindow(AtomicU64);

impl LogWindow {
    fn admit(&self, second: u64, most: u64) -> bool {
        let admitted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let (window, count) = (word >> 16, word & 0xffff);
            match (window == second & 0xffff_ffff_ffff, count < most) {
                (true, true) => Some(word + 1),
                (true, false) => None,
                (false, _) => Some((second << 16) | 1),
            }
        });
        admitted.is_ok()
    }
}

/// Log lines of one module in a second.
const LOG_LINES: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_logs_so_many_lines_a_second() {
        let window = LogWindow::default();
        assert_eq!((0..1000).filter(|_| window.admit(7, LOG_LINES)).count() as u64, LOG_LINES);
        assert!(window.admit(8, LOG_LINES));
    }

    #[test]
    fn hooks_beyond_a_manifest_are_named() {
        let manifest = Hooks { request: true, ..Hooks::default() };
        let wanted = Hooks { request: true, log: true, ..Hooks::default() };
        assert_eq!(wanted.beyond(manifest), ["log"]);
    }
}
