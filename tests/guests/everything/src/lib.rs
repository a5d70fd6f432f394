//! Calls what no other plugin has a use for, and answers with what each call returned. The path of a request says
//! which calls. Answers that are known beforehand stand in `told/`: the real gateway and the SDK's fake give the same.

mod counted;
mod kept;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::{Headers, clock, random};

use crate::counted::Limits;

struct Everything {
    limits: Limits,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {}

tollgate_plugin_sdk::export!(Everything);

impl Plugin for Everything {
    type Settings = Settings;
    const HOOKS: Hooks = Hooks::REQUEST.and(Hooks::RESPONSE);

    fn configure(_: Settings) -> Result<Self, Problems> {
        Ok(Self { limits: Limits::define()? })
    }

    fn on_request(&self, request: &mut Request) -> Action {
        let path = request.path().map(Value::text).unwrap_or_default();
        let told = match path.as_str() {
            "/kv" => kept::steps(),
            "/kv/bounds" => kept::bounds(),
            "/kv/lifetimes" => kept::lifetimes(),
            "/kv/scopes" => kept::scopes(),
            "/kv/full" => kept::full(),
            "/limiter" => self.limits.steps(),
            "/headers" => fields(&request.headers()),
            "/early" => early(&mut request.response_headers()),
            "/random" => drawn(),
            "/clock" => timed(),
            _ => return Action::Continue,
        };
        request.answer(200, told.to_string())
    }

    fn on_response(&self, response: &mut Response) {
        let told = fields(&response.headers()).to_string();
        response.headers().set("x-fields", &told);
    }
}

/// All fields with their values, in the order they come in.
fn fields(headers: &Headers<'_>) -> Json {
    headers.iter().map(|(name, value)| json!([name, value.text()])).collect()
}

/// Fields of a response that is not there yet.
fn early(headers: &mut Headers<'_>) -> Json {
    headers.set("x-early", "replaced");
    headers.set("x-early", "first");
    headers.append("x-early", "second");
    headers.set("x-gone", "removed");
    headers.append("x-other", Value::new("third"));
    headers.remove("x-gone");
    fields(headers)
}

fn drawn() -> Json {
    json!({
        "first": random::bytes(16),
        "second": random::bytes(16),
        "none": random::bytes(0),
        "most": random::bytes(64 << 10).len(),
        "numbers": [random::number(), random::number()],
    })
}

/// Milliseconds since the Unix epoch, and nanoseconds that a sleep took.
fn timed() -> Json {
    let (now, started) = (clock::now(), clock::monotonic());
    clock::sleep(NAP);
    let slept = clock::monotonic() - started;
    json!({ "now": now.as_millis() as u64, "asked": NAP.as_nanos() as u64, "slept": slept.as_nanos() as u64 })
}

const NAP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
