//! What the fuzzer sends to rate-limiting. Exists only in builds of `cargo xtask fuzz` and in tests, which run it
//! over the seeds in `fuzz/seeds`.

use tollgate_plugin_sdk::testing::{Gateway, TestRequest};

use crate::RateLimiting;

/// Settings (JSON, up to an empty line) are refused with problems, or never admit more than the first limit within
/// one moment, by whatever clients (a line each: address, then the value of `x-key`) are told apart.
pub fn rate_limiting(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (settings, requests) = text.split_once("\n\n").unwrap_or((text, ""));
    let Ok(settings) = serde_json::from_str::<serde_json::Value>(settings) else { return };
    let gateway = Gateway::new();
    let plugin = match gateway.configure::<RateLimiting>(settings.clone()) {
        Ok(plugin) => plugin,
        Err(problems) => return assert!(problems.iter().next().is_some()),
    };
    let first = &settings["limits"][0];
    let most = match (first["burst"].as_u64(), first["algorithm"].as_str()) {
        (Some(burst @ 1..), Some("token-bucket")) => burst,
        _ => first["limit"].as_u64().expect("a valid limit has a number"),
    };
    let global = first["by"] == "global";
    let refusal = settings["status"].as_u64().unwrap_or(429);
    let mut admitted = 0;
    for line in requests.lines().take(64) {
        let (address, key) = line.split_once(' ').unwrap_or((line, ""));
        let request = TestRequest::get("/").from_address(address).with_header("x-key", key);
        let exchange = gateway.send(&plugin, request);
        match exchange.response.status {
            200 => admitted += 1,
            status => assert_eq!(u64::from(status), refusal),
        }
        assert_eq!(exchange.upstream.is_some(), exchange.response.status == 200);
        for name in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"] {
            let value = exchange.response.header(name);
            assert!(value.is_none_or(|value| value.parse::<u64>().is_ok()), "{name}: {value:?}");
        }
    }
    assert!(!global || admitted <= most, "{admitted} of {most}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_hold() {
        let folder = format!("{}/../../fuzz/seeds/rate_limiting", env!("CARGO_MANIFEST_DIR"));
        for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            super::rate_limiting(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
