//! Throttling: how many requests whoever asks may make, in one or several windows at once.
//!
//! Keeps: all limits of a request are taken in one call, together or not at all; and a throttled
//! request is a 429, never a 503.

mod fields;
mod settings;

use tollgate_plugin_sdk::limiter::{self, Ask, Decision, Limit, Verdict};
use tollgate_plugin_sdk::prelude::*;

use crate::fields::Fields;
use crate::settings::{By, LimitSettings, Settings};

/// More make a configuration unreadable, and the asks of a request live on the stack.
const MOST_LIMITS: usize = 8;

/// One configured use.
struct RateLimiting {
    limits: Vec<Counted>,
    fields: Fields,
    status: u16,
    message: String,
}

/// A limit, and what it counts by.
struct Counted {
    limit: Limit,
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
        Ok(Self { limits, fields, status: settings.status, message: settings.message })
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
            *ask = counted.limit.ask(counted.subject.key(request), counted.cost);
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
        Ok(Self { limit: settings.rule().define()?, subject, cost: settings.cost })
    }
}

impl Subject {
    /// Whose counter it is; who can't be told by what was asked for is told by the address, so
    /// that leaving it out is no way around a limit.
    fn key(&self, request: &Request) -> Option<Value> {
        match self {
            Subject::Consumer => request.consumer_id().or_else(|| request.client_address()),
            Subject::Address => request.client_address(),
            Subject::Route => request.route(),
            Subject::Service => request.service(),
            Subject::Everyone => None,
            Subject::Header(name) => request.header(*name).or_else(|| request.client_address()),
        }
    }
}

#[cfg(test)]
mod tests;
