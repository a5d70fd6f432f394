//! The access log: one JSON object a line for each finished request, appended to a file.
//!
//! Keeps: a batch is one write, so that lines of several workers never mix; and whatever a client
//! sends, a line stays one line.

mod line;
#[cfg(all(any(test, fuzzing), not(target_arch = "wasm32")))]
pub mod fuzzing;
mod settings;
mod time;

use tollgate_plugin_sdk::{prelude::*, warn};

use crate::line::Layout;
use crate::settings::Settings;

/// One configured use.
struct FileLog {
    sink: Sink,
    layout: Layout,
}

tollgate_plugin_sdk::export!(FileLog);

impl Plugin for FileLog {
    type Settings = Settings;

    const NAME: Option<&'static str> = Some("file-log");
    const HOOKS: Hooks = Hooks::LOG;
    const CAPABILITIES: &'static [Capability] = &[Capability::Files];

    fn configure(settings: Settings) -> Result<Self, Problems> {
        let layout = settings.layout()?;
        let sink = Sink::file(&settings.path).map_err(|problem| Problem { path: "path".to_owned(), ..problem })?;
        Ok(Self { sink, layout })
    }

    fn on_log(&self, batch: &LogBatch) {
        let mut lines = Vec::with_capacity(batch.len() * self.layout.usual_length());
        for record in batch.iter() {
            self.layout.write(&record, &mut lines);
        }
        if self.sink.write(&lines).is_err() {
            warn!("the log file is behind, {} records are lost", batch.len());
        }
    }
}

#[cfg(test)]
mod tests;
