use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_plugin_sdk::limiter::{Algorithm, Rule};
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::settings::Interval;

use crate::MOST_LIMITS;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// All of them must admit a request; at most 8.
    pub limits: Vec<LimitSettings>,
    /// Which header fields tell the client how it stands.
    #[serde(default)]
    pub headers: HeaderStyle,
    /// Status of a throttled request.
    #[serde(default = "too_many_requests")]
    #[schemars(range(min = 400, max = 499))]
    pub status: u16,
    /// What a throttled client is told.
    #[serde(default = "slow_down")]
    pub message: String,
    /// Leading bits of an IPv4 address that are counted by.
    #[serde(default = "whole_ipv4")]
    #[schemars(range(min = 1, max = 32))]
    pub ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that are counted by: a client usually has a whole /64.
    #[serde(default = "ipv6_network")]
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix: u8,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Permits per window.
    #[schemars(range(min = 1))]
    pub limit: u64,
    /// Such as `1s`, `1m`, `1h`.
    pub window: Interval,
    /// What is counted apart.
    pub by: By,
    #[serde(default)]
    pub algorithm: HowToCount,
    /// Token bucket only: how many may come at once; 0 means `limit`.
    #[serde(default)]
    pub burst: u64,
    /// Names the counter; `by` and `window` by default, such as `consumer-1m`. Keep a name to keep its count when
    /// the limit changes.
    #[serde(default)]
    pub name: Option<String>,
    /// Permits that a request takes.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub cost: u64,
}

#[derive(Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The consumer; the client's address while there is none.
    Consumer,
    /// The client's address.
    Ip,
    Route,
    Service,
    /// All requests together.
    Global,
    /// The value of a header field; the client's address when it is absent.
    Header(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HowToCount {
    FixedWindow,
    #[default]
    SlidingWindow,
    TokenBucket,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeaderStyle {
    #[default]
    Both,
    /// `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset`.
    Legacy,
    /// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers, 08 on).
    Draft,
    None,
}

impl Settings {
    /// What the types can't say.
    pub fn check(&self) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if self.limits.is_empty() || self.limits.len() > MOST_LIMITS {
            problems.add("limits", format!("list 1 to {MOST_LIMITS} limits"));
        }
        for (index, limit) in self.limits.iter().enumerate() {
            limit.check(&format!("limits[{index}]"), &mut problems);
            let name = limit.name();
            if self.limits[..index].iter().any(|earlier| earlier.name() == name) {
                problems.add(
                    format!("limits[{index}].name"),
                    format!("an earlier limit counts under the name `{name}` too; give this one its own"),
                );
            }
        }
        if !(400..500).contains(&self.status) {
            problems.add("status", "400 to 499: the client has to know that it is its own doing");
        }
        for (path, prefix, most) in [("ipv4_prefix", self.ipv4_prefix, 32), ("ipv6_prefix", self.ipv6_prefix, 128)] {
            if !(1..=most).contains(&prefix) {
                problems.add(path, format!("1 to {most}"));
            }
        }
        problems.into_result()
    }
}

impl LimitSettings {
    fn check(&self, path: &str, problems: &mut Problems) {
        if self.limit == 0 {
            problems.add(format!("{path}.limit"), "at least 1");
        }
        if self.window.duration().is_zero() {
            problems.add(format!("{path}.window"), "at least 1ms");
        }
        if self.burst > 0 && self.algorithm != HowToCount::TokenBucket {
            problems.add(format!("{path}.burst"), "only `algorithm = \"token-bucket\"` has a burst");
        }
        let most = if self.burst > 0 { self.burst } else { self.limit };
        if self.cost == 0 || self.cost > most {
            problems.add(format!("{path}.cost"), format!("1 to {most}: more could never be admitted"));
        }
        let named = |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if self.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 64 || !name.bytes().all(named)) {
            problems.add(format!("{path}.name"), "1 to 64 letters, digits, dots, dashes and underscores");
        }
        if matches!(&self.by, By::Header(name) if name.len() > 64 || HeaderName::new(name).is_err()) {
            problems.add(format!("{path}.by.header"), "the name of a header field, at most 64 characters");
        }
    }

    pub fn name(&self) -> String {
        let by = match &self.by {
            By::Consumer => "consumer",
            By::Ip => "ip",
            By::Route => "route",
            By::Service => "service",
            By::Global => "global",
            By::Header(name) => name,
        };
        self.name.clone().unwrap_or_else(|| format!("{}-{}", by.to_ascii_lowercase(), self.window))
    }

    pub fn rule(&self) -> Rule {
        Rule {
            name: self.name(),
            algorithm: match self.algorithm {
                HowToCount::FixedWindow => Algorithm::FixedWindow,
                HowToCount::SlidingWindow => Algorithm::SlidingWindow,
                HowToCount::TokenBucket => Algorithm::TokenBucket,
            },
            limit: self.limit,
            window: self.window.duration(),
            burst: self.burst,
        }
    }
}

fn too_many_requests() -> u16 {
    429
}

fn slow_down() -> String {
    "Rate limit exceeded".to_owned()
}

fn whole_ipv4() -> u8 {
    32
}

fn ipv6_network() -> u8 {
    64
}

fn one() -> u64 {
    1
}
