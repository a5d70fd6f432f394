//! Makes one call into the gateway many times in one hook, so that a bench can tell what that call costs.

use std::hint::black_box;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_plugin_sdk::limiter::{self, Algorithm, Limit, Rule};
use tollgate_plugin_sdk::{clock, context, credentials, kv, prelude::*, random};

struct Caller {
    call: Call,
    times: u32,
    field: HeaderName,
    key_field: HeaderName,
    context_key: ContextKey,
    limit: Limit,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    call: Call,
    /// How often in one hook.
    times: u32,
}

/// Each is one function of the ABI, unless it says otherwise.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Call {
    /// None: what the hook itself costs.
    Nothing,
    RequestGet,
    RequestHeader,
    /// Name and value as strings, as a plugin is first written: resolves the name, gets and reads.
    RequestHeaderText,
    RequestSetHeader,
    RequestSetHeaderBytes,
    RequestSetHeaderNumber,
    RequestQueryParameter,
    ValueNew,
    ValueRead,
    ValueEquals,
    ContextGet,
    ContextSet,
    ContextGetNumber,
    ContextSetNumber,
    CredentialsFindKey,
    CredentialsAuthenticated,
    LimiterTake,
    KvGet,
    KvSet,
    ClockNow,
    ClockMonotonic,
    RandomNumber,
    RandomBytes,
}

tollgate_plugin_sdk::export!(Caller);

impl Plugin for Caller {
    type Settings = Settings;
    const HOOKS: Hooks = Hooks::REQUEST;
    const CAPABILITIES: &'static [Capability] = &[Capability::Credentials];

    fn configure(settings: Settings) -> Result<Self, Problems> {
        let (limit, window) = (1_000_000_000_000, Duration::from_secs(60));
        let rule = Rule { name: "calls".into(), algorithm: Algorithm::SlidingWindow, limit, window, burst: 0 };
        Ok(Self {
            call: settings.call,
            times: settings.times,
            field: HeaderName::new("x-field")?,
            key_field: HeaderName::new("apikey")?,
            context_key: ContextKey::new("caller.key")?,
            limit: rule.define()?,
        })
    }

    fn on_request(&self, request: &mut Request) -> Action {
        let value = Value::new("sixteen bytes---");
        let _ = context::set(self.context_key, value);
        let key = request.header(self.key_field).unwrap_or(value);
        for _ in 0..self.times {
            self.once(request, value, key);
        }
        Action::Continue
    }
}

impl Caller {
    #[inline(always)]
    fn once(&self, request: &mut Request, value: Value, key: Value) {
        match self.call {
            Call::Nothing => {}
            Call::RequestGet => spend(request.path()),
            Call::RequestHeader => spend(request.header(self.field)),
            Call::RequestHeaderText => spend(request.headers().text("x-field")),
            Call::RequestSetHeader => spend(request.headers().set(self.field, value)),
            Call::RequestSetHeaderBytes => spend(request.headers().set(self.field, "sixteen bytes---")),
            Call::RequestSetHeaderNumber => spend(request.headers().set(self.field, 4711)),
            Call::RequestQueryParameter => spend(request.query_parameter("page")),
            Call::ValueNew => spend(Value::new("sixteen bytes---")),
            Call::ValueRead => spend(value.read()),
            Call::ValueEquals => spend(value.equals(key)),
            Call::ContextGet => spend(context::get(self.context_key)),
            Call::ContextSet => spend(context::set(self.context_key, value)),
            Call::ContextGetNumber => spend(context::number(self.context_key)),
            Call::ContextSetNumber => spend(context::set(self.context_key, 4711)),
            Call::CredentialsFindKey => spend(credentials::find_key(key)),
            Call::CredentialsAuthenticated => spend(credentials::authenticated()),
            Call::LimiterTake => spend(limiter::take(&[self.limit.ask(Some(key), 1)])),
            Call::KvGet => spend(kv::node().get("counter")),
            Call::KvSet => spend(kv::node().set("counter", "sixteen bytes---", None)),
            Call::ClockNow => spend(clock::now()),
            Call::ClockMonotonic => spend(clock::monotonic()),
            Call::RandomNumber => spend(random::number()),
            Call::RandomBytes => spend(random::bytes(16)),
        }
    }
}

/// Uses an outcome up, so that no call is left out.
fn spend<T>(outcome: T) {
    let _ = black_box(outcome);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_plugin_sdk::testing::{Gateway, TestRequest};

    #[test]
    fn calls_and_lets_the_request_pass() {
        let gateway = Gateway::new();
        let settings = serde_json::json!({ "call": "request-set-header-number", "times": 3 });
        let caller = gateway.configure::<Caller>(settings).expect("valid settings");
        let exchange = gateway.send(&caller, TestRequest::get("/"));
        assert_eq!(exchange.upstream.expect("it went on").header("x-field"), Some("4711"));
    }
}
