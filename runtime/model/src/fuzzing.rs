//! What the fuzzer throws at this crate's parsers, and what must hold whatever it throws. Exists only in builds
//! of `cargo xtask fuzz` and in tests, which run it over the seeds in `fuzz/seeds`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use crate::decode::{self, parse_authority};
use crate::units::{ByteSize, TimeSpan};
use crate::{Condition, Name, RequestFacts};

pub use crate::router::fuzzing::router;

/// What a duration, a size, a name or an authority is written as is read as the same again.
pub fn values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(time) = TimeSpan::parse(text) {
        assert_eq!(TimeSpan::parse(&time.to_string()).ok().map(|again| again.0), Some(time.0));
    }
    if let Ok(size) = ByteSize::parse(text) {
        assert_eq!(ByteSize::parse(&size.to_string()).ok().map(|again| again.0), Some(size.0));
    }
    if let Ok(name) = Name::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains(['/', '\\', '\0']) && text.trim_start_matches('.') == text, "safe as a file name");
    }
    if let Ok(authority) = parse_authority(text) {
        let host = match authority.host.contains(':') {
            true => format!("[{}]", authority.host),
            false => authority.host.clone(),
        };
        let port = authority.port.map(|port| format!(":{port}")).unwrap_or_default();
        assert_eq!(parse_authority(&format!("{host}{port}")).ok(), Some(authority));
    }
}

/// A condition (JSON, up to an empty line) is decoded or refused with every problem at a place, and holds of a
/// request (method, host, path, query, address, then fields, a line each) exactly if its negation does not.
pub fn condition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (condition, request) = text.split_once("\n\n").unwrap_or((text, ""));
    let Ok(tree) = serde_json::from_str::<Value>(condition) else { return };
    let condition = match decode::whole::<Condition>(&tree) {
        Ok(condition) => condition,
        Err(problems) => return assert!(problems.iter().all(|problem| !problem.message.is_empty())),
    };
    let asked = Asked::read(request);
    // `not` holds if none of its parts does: of a single part it is the plain opposite.
    let parts = [
        Condition { methods: condition.methods.clone(), ..Condition::default() },
        Condition { hosts: condition.hosts.clone(), ..Condition::default() },
        Condition { paths: condition.paths.clone(), ..Condition::default() },
        Condition { addresses: condition.addresses.clone(), ..Condition::default() },
        Condition { headers: condition.headers.clone(), ..Condition::default() },
        Condition { query: condition.query.clone(), ..Condition::default() },
    ];
    if condition.not.is_none() {
        assert_eq!(condition.holds(&asked), parts.iter().all(|part| part.holds(&asked)));
    }
    for part in parts.into_iter().filter(|part| part.headers.len() <= 1 && part.query.len() <= 1) {
        let states_something = part != Condition::default();
        let holds = part.holds(&asked);
        let not = Condition { not: Some(Box::new(part)), ..Condition::default() };
        assert!(!states_something || not.holds(&asked) != holds);
    }
}

struct Asked {
    method: Method,
    host: String,
    path: String,
    query: String,
    address: IpAddr,
    headers: HeaderMap,
}

impl Asked {
    fn read(text: &str) -> Asked {
        let mut lines = text.lines();
        let mut line = || lines.next().unwrap_or_default().to_owned();
        let (method, host, path, query, address) = (line(), line(), line(), line(), line());
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let address = address.parse().unwrap_or(IpAddr::from([192, 0, 2, 1]));
        Asked { method, host: host.to_ascii_lowercase(), path: format!("/{path}"), query, address, headers }
    }
}

impl RequestFacts for Asked {
    fn method(&self) -> &Method {
        &self.method
    }
    fn host(&self) -> &str {
        &self.host
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> &str {
        &self.query
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    fn client_address(&self) -> IpAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn the_seeds_hold() {
        let targets: [Target; 3] =
            [("condition", super::condition), ("router", super::router), ("values", super::values)];
        for (target, check) in targets {
            let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
            for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
                check(&std::fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }
}
