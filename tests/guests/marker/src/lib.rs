//! Says which build of it answers. A test that needs many modules of different bytes overwrites
//! the marker in the file: its 17 bytes `GENERATION-000000` stand there once.

use std::hint::black_box;

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_plugin_sdk::prelude::*;

/// Overwritten in place by tests, with as many bytes.
static MARKER: [u8; 17] = *b"GENERATION-000000";

struct Marker {
    settings: Option<String>,
    marker_field: HeaderName,
    settings_field: HeaderName,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Sent back as `x-settings`.
    #[serde(default)]
    value: Option<String>,
}

tollgate_plugin_sdk::export!(Marker);

impl Plugin for Marker {
    type Settings = Settings;
    const HOOKS: Hooks = Hooks::RESPONSE;

    fn configure(settings: Settings) -> Result<Self, Problems> {
        Ok(Self {
            settings: settings.value,
            marker_field: HeaderName::new("x-marker")?,
            settings_field: HeaderName::new("x-settings")?,
        })
    }

    fn on_response(&self, response: &mut Response) {
        let mut headers = response.headers();
        // Opaque to the optimiser, so that the bytes are read from where the test changed them.
        headers.set(self.marker_field, black_box(&MARKER).as_slice());
        if let Some(value) = &self.settings {
            headers.set(self.settings_field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_plugin_sdk::testing::{Gateway, TestRequest};

    #[test]
    fn responses_carry_the_marker_and_the_settings() {
        let gateway = Gateway::new();
        let marker = gateway.configure::<Marker>(serde_json::json!({ "value": "seven" })).expect("valid settings");
        let exchange = gateway.send(&marker, TestRequest::get("/"));
        assert_eq!(exchange.response.header("x-marker"), Some("GENERATION-000000"));
        assert_eq!(exchange.response.header("x-settings"), Some("seven"));
    }
}
