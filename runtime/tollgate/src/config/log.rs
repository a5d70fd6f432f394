use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, one_of};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

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
    /// Starts logging. `TOLLGATE_LOG` (as in `info,tollgate_proxy=debug`) goes before the file.
    pub fn start(self) {
        let filter = EnvFilter::builder()
            .with_default_directive(self.level.into())
            .with_env_var("TOLLGATE_LOG")
            .from_env_lossy()
            // It tells of every watch that is gone with its file: that is how files are replaced.
            .add_directive(WATCHER_LEVEL.parse().expect("a valid directive"));
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.json {
            true => subscriber.json().init(),
            false => subscriber.with_ansi(false).init(),
        }
    }
}

const WATCHER_LEVEL: &str = "notify=warn";

impl Decode for LogConfig {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<LogConfig> {
        let levels = [
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ];
        let mut fields = Fields::open(value, place, problems)?;
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
