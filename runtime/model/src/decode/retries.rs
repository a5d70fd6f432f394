use serde_json::Value;

use super::{Decode, Fields, Place, PositiveTime, at_least_one, one_of, pattern};
use crate::Problems;
use crate::entity::{Retries, RetryOn};
use crate::problem::Complaint;
use crate::units::ByteSize;

impl Decode for Retries {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Retries> {
        let defaults = Retries::default();
        let mut fields = Fields::open(value, place, problems);
        let attempts = fields.optional("attempts", defaults.attempts);
        if !(1..=Retries::MOST_ATTEMPTS).contains(&attempts) {
            let message = format!("expected a whole number from 1 to {}", Retries::MOST_ATTEMPTS);
            fields.refuse("attempts", Complaint::new(message, "1 sends a request once"));
        }
        let per_try_timeout = fields.maybe("per_try_timeout").map(|PositiveTime(time)| time);
        let on = fields.maybe_with("on", at_least_one).unwrap_or(defaults.on);
        let methods = fields.maybe_with("methods", pattern::methods).unwrap_or(defaults.methods);
        let body_size = fields.optional("body_size", ByteSize(defaults.body_size)).0;
        fields.finish()?;
        Some(Retries { attempts, per_try_timeout, on, methods, body_size })
    }
}

impl Decode for RetryOn {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<RetryOn> {
        one_of(value, place, problems, &RetryOn::WORDS)
    }
}
