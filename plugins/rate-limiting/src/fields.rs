//! The header fields that tell a client how it stands. They go onto whatever response is sent.

use std::time::Duration;

use tollgate_plugin_sdk::limiter::Verdict;
use tollgate_plugin_sdk::prelude::*;

use crate::settings::{HeaderStyle, LimitSettings};

pub struct Fields {
    legacy: Option<Legacy>,
    draft: Option<Draft>,
    retry_after: HeaderName,
}

struct Legacy {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

/// Structured fields (RFC 9651) of draft-ietf-httpapi-ratelimit-headers.
struct Draft {
    state: HeaderName,
    policy: HeaderName,
    /// All limits: `"minute";q=10;w=60, …`.
    policies: String,
    /// The start of each limit's state: `"minute";r=`.
    prefixes: Vec<String>,
}

impl Fields {
    pub fn new(style: HeaderStyle, limits: &[LimitSettings]) -> Result<Self, Problems> {
        let legacy = matches!(style, HeaderStyle::Both | HeaderStyle::Legacy).then(Legacy::new).transpose()?;
        let draft = matches!(style, HeaderStyle::Both | HeaderStyle::Draft).then(|| Draft::new(limits)).transpose()?;
        Ok(Self { legacy, draft, retry_after: HeaderName::new("retry-after")? })
    }

    /// How the client stands under the limit that is nearest to its end.
    pub fn set(&self, request: &mut Request, verdict: &Verdict) {
        let mut headers = request.response_headers();
        let reset = whole_seconds(verdict.reset_after);
        if let Some(legacy) = &self.legacy {
            headers.set(legacy.limit, verdict.limit);
            headers.set(legacy.remaining, verdict.remaining);
            headers.set(legacy.reset, reset);
        }
        if let Some(draft) = &self.draft {
            headers.set(draft.policy, &draft.policies);
            headers.set(draft.state, &draft.state(verdict, reset));
        }
    }

    pub fn set_retry_after(&self, request: &mut Request, verdict: &Verdict) {
        let seconds = whole_seconds(verdict.retry_after).max(1);
        request.response_headers().set(self.retry_after, seconds);
    }
}

impl Legacy {
    fn new() -> Result<Self, Problems> {
        Ok(Self {
            limit: HeaderName::new("ratelimit-limit")?,
            remaining: HeaderName::new("ratelimit-remaining")?,
            reset: HeaderName::new("ratelimit-reset")?,
        })
    }
}

impl Draft {
    fn new(limits: &[LimitSettings]) -> Result<Self, Problems> {
        let policy = |limit: &LimitSettings| {
            format!("\"{}\";q={};w={}", limit.name(), limit.limit, whole_seconds(limit.window.duration()).max(1))
        };
        Ok(Self {
            state: HeaderName::new("ratelimit")?,
            policy: HeaderName::new("ratelimit-policy")?,
            policies: limits.iter().map(policy).collect::<Vec<_>>().join(", "),
            prefixes: limits.iter().map(|limit| format!("\"{}\";r=", limit.name())).collect(),
        })
    }

    fn state(&self, verdict: &Verdict, reset: u64) -> String {
        let prefix = self.prefixes.get(verdict.tightest).map_or("", String::as_str);
        // The longest two numbers and what stands between them: one allocation.
        let mut state = String::with_capacity(prefix.len() + 43);
        let mut digits = itoa::Buffer::new();
        state.push_str(prefix);
        state.push_str(digits.format(verdict.remaining));
        state.push_str(";t=");
        state.push_str(digits.format(reset));
        state
    }
}

/// Rounded up: a client that waits so long does not come a moment too early.
fn whole_seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}
