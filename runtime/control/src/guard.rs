//! Keeps web pages away from the admin API and the status listener.
//!
//! A page in a browser on this machine can send requests to a loopback listener. Three things tell
//! them apart: the Host names the page's own site where that site made its name point here (DNS
//! rebinding), the Origin names the page, and Sec-Fetch-Site says whether it is of another site.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Uri};
use tollgate_model::decode::{Authority, parse_authority};

use crate::refusal::Refusal;

pub(crate) struct Guard {
    address: IpAddr,
    /// Further names, in lower case.
    hosts: Vec<String>,
}

impl Guard {
    pub(crate) fn new(bound: SocketAddr, hosts: Vec<String>) -> Guard {
        let hosts = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        Guard { address: bound.ip(), hosts }
    }

    /// For a listener that only reads, and that probes ask by whatever address they were given. No page
    /// can make an address its own name; a request without a Host is of no browser.
    pub(crate) fn check_name(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let is_allowed = |host: &Authority| self.is_own(host) || host.host.parse::<IpAddr>().is_ok();
        let nameless = !headers.contains_key(HOST) && uri.authority().is_none();
        let foreign = !nameless && !requested_host(uri, headers).as_ref().is_some_and(is_allowed);
        match self.address.to_canonical().is_loopback() && foreign {
            true => Err(Refusal::ForeignHost),
            false => Ok(()),
        }
    }

    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        if headers.get_all(SEC_FETCH_SITE).iter().any(|site| site == "cross-site") {
            return Err(Refusal::ForeignOrigin);
        }
        let host = requested_host(uri, headers);
        if self.address.to_canonical().is_loopback() && !host.as_ref().is_some_and(|host| self.is_own(host)) {
            return Err(Refusal::ForeignHost);
        }
        let foreign = |origin: &HeaderValue| !host.as_ref().is_some_and(|host| is_origin_of(origin, host));
        match headers.get_all(ORIGIN).iter().any(foreign) {
            true => Err(Refusal::ForeignOrigin),
            false => Ok(()),
        }
    }

    /// The port does not count: tunnels and port mappings change it.
    fn is_own(&self, host: &Authority) -> bool {
        match host.host.parse::<IpAddr>() {
            Ok(address) => address == self.address || address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST,
            Err(_) => host.host == "localhost" || self.hosts.contains(&host.host),
        }
    }
}

/// Told by browsers, also where there is no Origin: of images and scripts that a page wants.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What the client calls this listener. `None` if it does not say it clearly: without a Host, with
/// several, or with another one in the request's target.
fn requested_host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = parse_authority(hosts.next()?.to_str().ok()?).ok()?;
    let target = match uri.authority() {
        Some(authority) => Some(parse_authority(authority.as_str()).ok()?),
        None => None,
    };
    let clear = hosts.next().is_none() && target.is_none_or(|target| target == host);
    clear.then_some(host)
}

/// Whether `origin` is a page that this listener itself served under the name `host`.
fn is_origin_of(origin: &HeaderValue, host: &Authority) -> bool {
    let Some((scheme, authority)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
        return false; // `null`: nobody knows which page.
    };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Ok(origin) = parse_authority(authority) else { return false };
    origin.host == host.host && origin.port.unwrap_or(default_port) == host.port.unwrap_or(default_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a listener on `address` makes of a request with these fields.
    fn check(address: &str, fields: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let guard = Guard::new(SocketAddr::new(address.parse().expect("an address"), 8001), vec!["Admin.test".into()]);
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a value"));
        }
        guard.check(&Uri::from_static("/"), &headers)
    }

    #[test]
    fn a_loopback_listener_answers_to_loopback_names_only() {
        for host in ["localhost", "LOCALHOST:8001", "127.0.0.1:9", "[::1]:8001", "[0:0::1]", "admin.test:80"] {
            assert!(check("127.0.0.1", &[("host", host)]).is_ok(), "{host}");
            assert!(check("::1", &[("host", host)]).is_ok(), "{host}");
        }
        assert!(check("127.0.0.9", &[("host", "127.0.0.9:8001")]).is_ok());
        for host in ["evil.test", "localhost.evil.test", "localhost.", "10.0.0.1:8001", "127.0.0.2", "", "a b", "[::2]"]
        {
            assert!(matches!(check("127.0.0.1", &[("host", host)]), Err(Refusal::ForeignHost)), "{host}");
        }
        assert!(matches!(check("127.0.0.1", &[]), Err(Refusal::ForeignHost)));
        let two = [("host", "localhost"), ("host", "localhost")];
        assert!(matches!(check("127.0.0.1", &two), Err(Refusal::ForeignHost)));
    }

    #[test]
    fn what_a_browser_calls_cross_site_is_refused_without_an_origin_too() {
        let sent = |site| [("host", "localhost:8001"), ("sec-fetch-site", site)];
        assert!(matches!(check("127.0.0.1", &sent("cross-site")), Err(Refusal::ForeignOrigin)));
        for site in ["none", "same-origin"] {
            assert!(check("127.0.0.1", &sent(site)).is_ok(), "{site}");
        }
    }

    #[test]
    fn the_host_in_the_target_counts_too() {
        let guard = Guard::new(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8001), Vec::new());
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
        assert!(guard.check(&Uri::from_static("http://localhost/"), &headers).is_ok());
        assert!(matches!(guard.check(&Uri::from_static("http://evil.test/"), &headers), Err(Refusal::ForeignHost)));
    }

    #[test]
    fn a_public_listener_answers_to_any_name() {
        for address in ["0.0.0.0", "10.0.0.1", "::"] {
            assert!(check(address, &[("host", "gateway.example.com")]).is_ok(), "{address}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for (host, origin) in [
            ("localhost:8001", "http://localhost:8001"),
            ("gateway.example.com", "https://gateway.example.com"),
            ("gateway.example.com", "https://gateway.example.com:443"),
            ("[::1]:8001", "http://[::1]:8001"),
        ] {
            assert!(check("0.0.0.0", &[("host", host), ("origin", origin)]).is_ok(), "{origin}");
        }
        for origin in
            ["http://evil.test", "null", "http://localhost:3000", "http://localhost", "file://localhost:8001", ""]
        {
            let fields = [("host", "localhost:8001"), ("origin", origin)];
            assert!(matches!(check("127.0.0.1", &fields), Err(Refusal::ForeignOrigin)), "{origin}");
            assert!(matches!(check("0.0.0.0", &fields), Err(Refusal::ForeignOrigin)), "{origin}");
        }
    }
}
