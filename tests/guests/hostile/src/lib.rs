//! Attacks the gateway from inside, to prove that only its own requests suffer. The settings say
//! which attack each hook makes; with `on_header`, a request chooses for itself.

mod attack;
mod settings;

use std::cell::Cell;

use tollgate_plugin_sdk::log;
use tollgate_plugin_sdk::prelude::*;

use crate::attack::Attack;
use crate::settings::Settings;

/// One configured use.
struct Hostile {
    settings: Settings,
    /// Of an earlier request, kept against the rules.
    stale: Cell<Option<Value>>,
}

tollgate_plugin_sdk::export!(Hostile);

impl Plugin for Hostile {
    type Settings = Settings;
    const HOOKS: Hooks =
        Hooks::REQUEST.and(Hooks::REQUEST_BODY).and(Hooks::RESPONSE).and(Hooks::RESPONSE_BODY).and(Hooks::LOG);

    fn configure(settings: Settings) -> Result<Self, Problems> {
        if let Some(attack) = settings.configure {
            attack.make(&settings);
        }
        Ok(Self { settings, stale: Cell::new(None) })
    }

    fn subscription(&self) -> Subscription {
        let wanted = [
            (self.settings.request.is_some() || self.settings.on_header, Hooks::REQUEST),
            (self.settings.request_body.is_some(), Hooks::REQUEST_BODY),
            (self.settings.response.is_some(), Hooks::RESPONSE),
            (self.settings.response_body.is_some(), Hooks::RESPONSE_BODY),
            (self.settings.log.is_some(), Hooks::LOG),
        ];
        let hooks = wanted.into_iter().filter(|(wanted, _)| *wanted).fold(Hooks::NONE, |all, (_, hook)| all | hook);
        Subscription::to(hooks).hold_request_body(self.settings.hold)
    }

    fn on_request(&self, request: &mut Request) -> Action {
        let Some(attack) = self.chosen(request) else { return Action::Continue };
        match attack {
            Attack::Header => {
                attack::giant_headers(&mut request.headers(), &self.settings);
                attack::giant_headers(&mut request.response_headers(), &self.settings);
            }
            Attack::Answer => return request.answer(200, vec![b'x'; self.settings.bytes]),
            Attack::Stale => {
                if let Some(stale) = self.stale.replace(request.path()) {
                    request.headers().set("x-stale", stale);
                }
            }
            other => other.make(&self.settings),
        }
        Action::Continue
    }

    fn on_request_body(&self, request: &mut Request, body: &mut Body) -> Action {
        match self.settings.request_body {
            Some(Attack::Body) => attack::endless_body(body),
            Some(Attack::Answer) => return request.answer(200, vec![b'x'; self.settings.bytes]),
            other => make(other, &self.settings),
        }
        Action::Continue
    }

    fn on_response(&self, response: &mut Response) {
        match self.settings.response {
            Some(Attack::Header) => attack::giant_headers(&mut response.headers(), &self.settings),
            other => make(other, &self.settings),
        }
    }

    fn on_response_body(&self, _: &mut Response, body: &mut Body) {
        match self.settings.response_body {
            Some(Attack::Body) => attack::endless_body(body),
            other => make(other, &self.settings),
        }
    }

    fn on_log(&self, batch: &LogBatch) {
        log::write(log::Level::Debug, &format!("{} records", batch.len()));
        make(self.settings.log, &self.settings);
    }
}

impl Hostile {
    /// The request's own choice comes first.
    fn chosen(&self, request: &Request) -> Option<Attack> {
        let named = self.settings.on_header.then(|| request.header("x-attack")).flatten();
        named.and_then(|name| Attack::named(&name.text())).or(self.settings.request)
    }
}

fn make(attack: Option<Attack>, settings: &Settings) {
    if let Some(attack) = attack {
        attack.make(settings);
    }
}

#[cfg(test)]
mod tests;
