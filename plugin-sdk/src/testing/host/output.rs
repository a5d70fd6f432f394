pub mod sink {
    use super::super::super::state::{Phase, with};

    pub type SinkId = u32;

    pub fn open(target: &str) -> Result<SinkId, String> {
        with(|state| {
            assert_eq!(state.phase, Phase::Configure, "sinks are opened while configuring: the plugin would trap");
            if target != "stdout:" && target.strip_prefix("file:").is_none_or(str::is_empty) {
                return Err(format!("`{target}` is no target of a sink"));
            }
            let known = state.sinks.iter().position(|(known, _)| known == target);
            let at = known.unwrap_or_else(|| {
                state.sinks.push((target.to_owned(), Vec::new()));
                state.sinks.len() - 1
            });
            u32::try_from(at).map_err(|_| "too many sinks".to_owned())
        })
    }

    pub fn write(sink: SinkId, bytes: &[u8]) -> bool {
        with(|state| {
            let taken = !state.sinks_full;
            if taken {
                state.sinks[sink as usize].1.extend_from_slice(bytes);
            }
            taken
        })
    }
}

pub mod log {
    use super::super::super::gateway::LogLine;
    use super::super::super::state::with;

    const LONGEST_LINE: usize = 4 * 1024;
    const MOST_FIELDS: usize = 16;
    const LONGEST_FIELD: usize = 1024;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Level {
        Error,
        Warn,
        Info,
        Debug,
    }

    pub fn write(level: Level, message: &str) {
        let level = match level {
            Level::Error => crate::log::Level::Error,
            Level::Warn => crate::log::Level::Warn,
            Level::Info => crate::log::Level::Info,
            Level::Debug => crate::log::Level::Debug,
        };
        let message = message.chars().scan(0, |length, character| {
            *length += character.len_utf8();
            (*length <= LONGEST_LINE).then_some(character)
        });
        with(|state| state.log.push(LogLine { level, message: message.collect() }));
    }

    pub fn field(name: &str, value: u32) {
        with(|state| {
            let value = state.read(value).to_vec();
            let fields = &mut state.current().log_fields;
            if fields.len() < MOST_FIELDS && value.len() <= LONGEST_FIELD {
                fields.push((name.to_owned(), value));
            }
        });
    }
}
