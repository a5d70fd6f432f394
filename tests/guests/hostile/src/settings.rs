use schemars::JsonSchema;
use serde::Deserialize;

use crate::attack::Attack;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub configure: Option<Attack>,
    pub request: Option<Attack>,
    pub request_body: Option<Attack>,
    pub response: Option<Attack>,
    pub response_body: Option<Attack>,
    pub log: Option<Attack>,
    /// Bytes of a request's body that are held back for `request_body`; 0: it comes piece by piece.
    pub hold: u64,
    /// In `on-request`, make the attack that the request's `x-attack` field names, if any.
    pub on_header: bool,
    /// How long, how large and how often an attack hits.
    pub milliseconds: u32,
    pub bytes: usize,
    pub times: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            configure: None,
            request: None,
            request_body: None,
            response: None,
            response_body: None,
            log: None,
            hold: 0,
            on_header: false,
            milliseconds: 60_000,
            bytes: 1 << 20,
            times: 1_000,
        }
    }
}
