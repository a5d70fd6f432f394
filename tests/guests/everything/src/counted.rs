//! Limits, and how they stand.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tollgate_plugin_sdk::limiter::{self, Algorithm, Ask, Limit, Rule, Verdict};
use tollgate_plugin_sdk::{Problem, Value};

pub struct Limits {
    few: Limit,
    many: Limit,
}

impl Limits {
    pub fn define() -> Result<Self, Problem> {
        Ok(Self { few: rule("few", 5).define()?, many: rule("many", 100).define()? })
    }

    /// Takes of both limits at once, in this order.
    pub fn steps(&self) -> Json {
        let (somebody, nobody) = (Value::new("somebody"), Value::new("nobody"));
        let asks = |many, few| [self.many.ask(None, many), self.few.ask(Some(somebody), few)];
        let whole = looked(&asks(0, 0));
        let taken = limiter::take(&asks(7, 2));
        let after_taken = told(&taken);
        let denied = told(&limiter::take(&asks(1, 4)));
        let another_key = looked(&[self.few.ask(Some(nobody), 0)]);
        let no_key = looked(&[self.few.ask(None, 0)]);
        if let Some(reservation) = taken.reservation {
            reservation.commit(1);
        }
        let committed = looked(&asks(0, 0));
        let taken_again = limiter::take(&asks(10, 1));
        let after_taken_again = told(&taken_again);
        if let Some(reservation) = taken_again.reservation {
            reservation.refund();
        }
        json!({
            "whole": whole,
            "taken": after_taken,
            "denied": denied,
            "another_key": another_key,
            "no_key": no_key,
            "committed": committed,
            "taken_again": after_taken_again,
            "refunded": looked(&asks(0, 0)),
        })
    }
}

/// One whose window ends while nobody looks.
fn rule(name: &str, limit: u64) -> Rule {
    Rule { name: name.to_owned(), algorithm: Algorithm::FixedWindow, limit, window: WINDOW, burst: 0 }
}

fn looked(asks: &[Ask]) -> Json {
    limiter::take(asks);
    standings()
}

/// A verdict with the standings behind it.
fn told(verdict: &Verdict) -> Json {
    json!({
        "decision": format!("{:?}", verdict.decision),
        "tightest": verdict.tightest,
        "limit": verdict.limit,
        "remaining": verdict.remaining,
        "has_to_reset": within_window(verdict.reset_after),
        "has_to_wait": within_window(verdict.retry_after),
        "is_reserved": verdict.reservation.is_some(),
        "standings": standings(),
    })
}

/// Limit, remaining, and whether it has to reset.
fn standings() -> Json {
    limiter::standings()
        .map(|standing| json!([standing.limit, standing.remaining, within_window(standing.reset_after)]))
        .collect()
}

/// When a window began is not known, but that it is not over and when it will be at the latest.
fn within_window(time: Duration) -> bool {
    !time.is_zero() && time <= WINDOW
}

const WINDOW: Duration = Duration::from_secs(365 * 86_400);
