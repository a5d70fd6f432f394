//! Throttling: how many requests whoever asks may make, in one or several windows at once.
//!
//! Keeps: all limits of a request are taken in one call, together or not at all; and a throttled
//! request is a 429, never a 503.

mod address;
mod fields;
#[cfg(all(any(test, fuzzing), not(target_arch = "wasm32")))]
pub mod fuzzing;
mod settings;

use tollgate_plugin_sdk::limiter::{self, Ask, Decision, Limit, Rule, Verdict};
use tollgate_plugin_sdk::prelude::*;

use crate::address::Networks;
use crate::fields::Fields;
use crate::settings::{By, LimitSettings, Settings};

/// More make a configuration unreadable, and the asks of a request live on the stack.
const MOST_LIMITS: usize = 8;

/// One configured use.
struct RateLimiting {
    limits: Vec<Counted>,
    networks: Networks,
    fields: Fields,
    status: u16,
    message: String,
}

/// A limit, and what it counts by.
struct Counted {
    limit: Limit,
    /// Counts by address whom the subject does not tell: a limit of its own, so that no header value
    /// and no consumer's id can pass for an address.
    unnamed: Option<Limit>,
    subject: Subject,
    cost: u64,
}

enum Subject {
    Consumer,
    Address,
    Route,
    Service,
    Everyone,
    Header(HeaderName),
}

tollgate_plugin_sdk::export!(RateLimiting);

impl Plugin for RateLimiting {
    type Settings = Settings;

    const NAME: Option<&'static str> = Some("rate-limiting");
    const HOOKS: Hooks = Hooks::REQUEST;

    fn configure(settings: Settings) -> Result<Self, Problems> {
        settings.check()?;
        let mut problems = Problems::new();
        let mut limits = Vec::with_capacity(settings.limits.len());
        for (index, limit) in settings.limits.iter().enumerate() {
            limits.extend(problems.check(format!("limits[{index}]"), Counted::define(limit)));
        }
        problems.into_result()?;
        let fields = Fields::new(settings.headers, &settings.limits)?;
        let networks = Networks { ipv4: settings.ipv4_prefix, ipv6: settings.ipv6_prefix };
        Ok(Self { limits, networks, fields, status: settings.status, message: settings.message })
    }

    fn on_request(&self, request: &mut Request) -> Action {
        let verdict = self.take(request);
        match verdict.decision {
            Decision::Admitted => {
                self.fields.set(request, &verdict);
                Action::Continue
            }
            Decision::Denied => {
                self.fields.set(request, &verdict);
                self.fields.set_retry_after(request, &verdict);
                request.refuse(self.status, &self.message)
            }
            Decision::Unavailable => request.refuse(503, "Rate limits cannot be checked at the moment"),
        }
    }
}

impl RateLimiting {
    fn take(&self, request: &Request) -> Verdict {
        let mut asks = [NO_ASK; MOST_LIMITS];
        for (ask, counted) in asks.iter_mut().zip(&self.limits) {
            *ask = counted.ask(request, self.networks);
        }
        limiter::take(&asks[..self.limits.len()])
    }
}

/// Fills the unused part of the array that `RateLimiting::take` cuts off.
const NO_ASK: Ask = Ask { rule: 0, key: 0, cost: 0 };

impl Counted {
    fn define(settings: &LimitSettings) -> Result<Self, Problems> {
        let subject = match &settings.by {
            By::Consumer => Subject::Consumer,
            By::Ip => Subject::Address,
            By::Route => Subject::Route,
            By::Service => Subject::Service,
            By::Global => Subject::Everyone,
            By::Header(name) => Subject::Header(HeaderName::new(name)?),
        };
        let rule = settings.rule();
        let unnamed = match subject {
            Subject::Consumer | Subject::Header(_) => Some(Rule { name: format!("{}/ip", rule.name), ..rule.clone() }),
            _ => None,
        };
        let unnamed = unnamed.map(|rule| rule.define()).transpose()?;
        Ok(Self { limit: rule.define()?, unnamed, subject, cost: settings.cost })
    }

    /// Who can't be told by what was asked for is told by the address, so that leaving it out is no
    /// way around a limit.
    fn ask(&self, request: &Request, networks: Networks) -> Ask {
        let address = || request.client_address().map(|address| networks.key(address));
        let key = match self.subject {
            Subject::Consumer => request.consumer_id(),
            Subject::Header(name) => request.header(name),
            Subject::Address => address(),
            Subject::Route => request.route(),
            Subject::Service => request.service(),
            Subject::Everyone => None,
        };
        match (key, self.unnamed) {
            (None, Some(unnamed)) => unnamed.ask(address(), self.cost),
            (key, _) => self.limit.ask(key, self.cost),
        }
    }
}

#[cfg(test)]
mod tests;
