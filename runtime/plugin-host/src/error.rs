use std::fmt;

use crate::exchange::RequestHead;

/// Why a hook did not do its work.
#[derive(Debug)]
pub struct HookError {
    pub kind: HookErrorKind,
    /// Name of the configured use.
    pub plugin: String,
    pub module: String,
    /// For the log, never for the client.
    pub detail: String,
    /// Of this one the log tells, and how many there were since the last of the module of which it did.
    pub(crate) unsaid: Option<u64>,
}

/// Kinds of hook failures; each is one metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookErrorKind {
    /// The guest trapped: a panic, an invalid handle, an output over the host's caps.
    Trap,
    /// Processor time inside the guest ran out.
    Cpu,
    /// Time from call to return ran out.
    Wall,
    /// The guest trapped after it was refused memory.
    Memory,
    /// No instance was free in time.
    Exhausted,
    /// The use could not be configured on a fresh instance.
    Configure,
}

impl HookErrorKind {
    pub const ALL: [HookErrorKind; 6] = [
        HookErrorKind::Trap,
        HookErrorKind::Cpu,
        HookErrorKind::Wall,
        HookErrorKind::Memory,
        HookErrorKind::Exhausted,
        HookErrorKind::Configure,
    ];

    pub fn label(self) -> &'static str {
        match self {
            HookErrorKind::Trap => "trap",
            HookErrorKind::Cpu => "cpu",
            HookErrorKind::Wall => "wall",
            HookErrorKind::Memory => "memory",
            HookErrorKind::Exhausted => "exhausted",
            HookErrorKind::Configure => "configure",
        }
    }
}

impl HookError {
    /// Tells the log, unless it has told of enough faults of this module in this second.
    pub fn tell(&self, consequence: &str, request: &RequestHead) {
        let Some(unsaid) = self.unsaid else { return };
        tracing::warn!(
            plugin = self.plugin,
            module = self.module,
            kind = self.kind.label(),
            detail = self.detail,
            route = &*request.route,
            request_id = request.id.to_str().unwrap_or_default(),
            unsaid,
            "hook failed, {consequence}"
        );
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {}: {}: {}", self.plugin, self.kind.label(), self.detail)
    }
}

impl std::error::Error for HookError {}

/// A guest ran out of processor time; found again in the trap it caused.
#[derive(Debug)]
pub(crate) struct CpuExceeded;

impl fmt::Display for CpuExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("processor time used up")
    }
}

impl std::error::Error for CpuExceeded {}
