use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, one_of};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log_output::{LogGuard, LogOutput, RepeatLimit};

/// `[log]`: the gateway's own log, on standard error.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    level: LevelFilter,
    json: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { level: LevelFilter::INFO, json: false }
    }
}

impl LogConfig {
    /// Starts logging, until the guard is dropped. `TOLLGATE_LOG` (as in `info,tollgate_proxy=debug`)
    /// goes before the file.
    pub fn start(self) -> std::io::Result<LogGuard> {
        let filter = EnvFilter::builder()
            .with_default_directive(self.level.into())
            .with_env_var("TOLLGATE_LOG")
            .from_env_lossy();
        let filter = TALKATIVE
            .iter()
            .fold(filter, |filter, directive| filter.add_directive(directive.parse().expect("a valid directive")));
        let (output, guard) = LogOutput::start(std::io::stderr())?;
        let registry = tracing_subscriber::registry().with(filter).with(RepeatLimit::new(output.losses()));
        let lines = tracing_subscriber::fmt::layer().with_writer(move || output.clone());
        match self.json {
            true => registry.with(lines.json()).init(),
            false => registry.with(lines.with_ansi(false)).init(),
        }
        Ok(guard)
    }
}

/// `notify` tells of every watch that is gone with its file, which is how files are replaced; the
/// compiler of every instruction.
const TALKATIVE: [&str; 4] = ["notify=warn", "cranelift=warn", "regalloc2=warn", "wasmtime=warn"];

impl Decode for LogConfig {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<LogConfig> {
        let levels = [
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ];
        let mut fields = Fields::open(value, place, problems);
        let level = fields.maybe_with("level", |value: &Value, place: &Place<'_>, problems: &mut Problems| {
            one_of(value, place, problems, &levels)
        });
        let json = fields.maybe_with("format", |value: &Value, place: &Place<'_>, problems: &mut Problems| {
            one_of(value, place, problems, &[("text", false), ("json", true)])
        });
        fields.finish()?;
        Some(LogConfig { level: level.unwrap_or(LevelFilter::INFO), json: json.unwrap_or(false) })
    }
}
