//! API keys: a request names its consumer by a key in a header or a query parameter.
//!
//! Keeps: a request without exactly one valid key never passes as authenticated, and the key is
//! never copied out of the gateway.

#[cfg(all(any(test, fuzzing), not(target_arch = "wasm32")))]
pub mod fuzzing;
mod settings;

use tollgate_plugin_sdk::{credentials, prelude::*, query};

use crate::settings::Settings;

/// One configured use.
struct KeyAuth {
    headers: Vec<HeaderName>,
    parameters: Vec<String>,
    hide_credentials: bool,
    anonymous: Option<String>,
    challenge: String,
    www_authenticate: HeaderName,
}

tollgate_plugin_sdk::export!(KeyAuth);

impl Plugin for KeyAuth {
    type Settings = Settings;

    const NAME: Option<&'static str> = Some("key-auth");
    const HOOKS: Hooks = Hooks::REQUEST;
    const CAPABILITIES: &'static [Capability] = &[Capability::Credentials];
    const DECIDES_ACCESS: bool = true;

    fn configure(settings: Settings) -> Result<Self, Problems> {
        let headers = settings.header_names()?;
        Ok(Self {
            headers,
            parameters: settings.query,
            hide_credentials: settings.hide_credentials,
            anonymous: settings.anonymous,
            challenge: format!("Key realm=\"{}\"", settings.realm),
            www_authenticate: HeaderName::new("www-authenticate")?,
        })
    }

    fn on_request(&self, request: &mut Request) -> Action {
        let found = self.find(request);
        if self.hide_credentials && !matches!(found, Found::Nothing) {
            self.hide(request);
        }
        if credentials::authenticated() {
            return Action::Continue;
        }
        match found {
            Found::Nothing => self.without_key(request),
            Found::Many => self.refuse(request, "Duplicate API key found"),
            Found::Key(key) => match credentials::find_key(key) {
                Some(credential) if credential.authenticate() => Action::Continue,
                _ => self.refuse(request, "Unauthorized"),
            },
        }
    }
}

enum Found {
    Nothing,
    Key(Value),
    Many,
}

impl KeyAuth {
    /// The request's only key. Two are refused even if they are equal: what stands behind the
    /// gateway may read the other one.
    fn find(&self, request: &mut Request) -> Found {
        let mut found = Found::Nothing;
        for &name in &self.headers {
            for key in request.headers().values(name) {
                found = found.and(key);
            }
        }
        for name in &self.parameters {
            if let Some(key) = request.query_parameter(name) {
                found = if repeated(request, name) { Found::Many } else { found.and(key) };
            }
        }
        found
    }

    /// Keeps the key from the upstream, also where an earlier plugin authenticated the request.
    fn hide(&self, request: &mut Request) {
        for &name in &self.headers {
            request.headers().remove(name);
        }
        for name in &self.parameters {
            request.remove_query_parameter(name);
        }
    }

    /// An unknown key is always refused; only its absence makes a request anonymous.
    fn without_key(&self, request: &mut Request) -> Action {
        let Some(consumer) = &self.anonymous else {
            return self.refuse(request, "No API key found in request");
        };
        match credentials::find_anonymous(consumer) {
            Some(credential) if credential.authenticate() => Action::Continue,
            _ => request.refuse(500, "The anonymous consumer does not exist"),
        }
    }

    fn refuse(&self, request: &mut Request, message: &str) -> Action {
        request.response_headers().set(self.www_authenticate, &self.challenge);
        request.refuse(401, message)
    }
}

impl Found {
    fn and(self, key: Value) -> Self {
        match self {
            Found::Nothing => Found::Key(key),
            Found::Key(_) | Found::Many => Found::Many,
        }
    }
}

/// More than one parameter of that name, escapes resolved.
fn repeated(request: &Request, name: &str) -> bool {
    let query = request.query().map(Value::read).unwrap_or_default();
    query::pairs(&query).filter(|(found, _)| found.as_ref() == name.as_bytes()).count() > 1
}

#[cfg(test)]
mod tests;
