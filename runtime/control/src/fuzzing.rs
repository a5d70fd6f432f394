//! What the fuzzer throws at the guard of the admin API. Exists only in builds of `cargo xtask fuzz` and in tests,
//! which run it over the seeds in `fuzz/seeds`.

use axum::http::{HeaderMap, HeaderValue, Uri};

use crate::guard::Guard;

/// Whoever passes the guard of a loopback listener named that listener, once, and no page of another site sent it.
///
/// Lines: target, Host, Origin, Sec-Fetch-Site, and a second Host; an empty line stands for none.
pub fn admin_guard(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let mut headers = HeaderMap::new();
    for (name, line) in ["host", "origin", "sec-fetch-site", "host"].into_iter().zip(lines) {
        if let (Ok(value), false) = (HeaderValue::from_bytes(line), line.is_empty()) {
            headers.append(name, value);
        }
    }
    let guard = Guard::new(([127, 0, 0, 1], 8001).into(), vec!["admin.test".to_owned()]);
    if guard.check(&uri, &headers).is_err() {
        return;
    }
    let hosts: Vec<&HeaderValue> = headers.get_all("host").iter().collect();
    let [host] = hosts[..] else { panic!("it took {hosts:?}") };
    let host = host.to_str().expect("a host is text").to_ascii_lowercase();
    let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(&*host, |(name, _)| name);
    let bare = name.trim_matches(['[', ']']);
    let own =
        ["localhost", "127.0.0.1", "admin.test"].contains(&bare) || bare.parse() == Ok(std::net::Ipv6Addr::LOCALHOST);
    assert!(own, "it took {host}");
    if let Some(origin) = headers.get("origin") {
        let origin = origin.to_str().expect("an origin is text").to_ascii_lowercase();
        assert!(origin.contains(bare), "it took {origin} for a page of {host}");
    }
    assert!(headers.get("sec-fetch-site").is_none_or(|site| site != "cross-site"));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_hold() {
        let folder = format!("{}/../../fuzz/seeds/admin_guard", env!("CARGO_MANIFEST_DIR"));
        for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            super::admin_guard(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
