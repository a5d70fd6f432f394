use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{HeaderMap, Method};

use super::Router;
use super::reference::scan;
use crate::entity::{HostPattern, PathPattern, Route};
use crate::{Name, RequestFacts};

/// The router finds what a scan of all routes finds.
///
/// Lines `host path` up to an empty one are routes, the first of a route's pair `-` for none; the rest are requests.
pub fn router(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (routes, requests) = text.split_once("\n\n").unwrap_or((text, ""));
    let routes: Vec<Arc<Route>> = routes.lines().take(32).enumerate().filter_map(route).map(Arc::new).collect();
    let router = Router::build(routes.iter().map(|route| (Arc::clone(route), route.name.to_string())));
    for line in requests.lines().take(32) {
        let (host, path) = line.split_once(' ').unwrap_or(("", line));
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            continue;
        }
        let request = Asked { host: host.to_ascii_lowercase(), path, headers: HeaderMap::new() };
        let found = router.find(&request).map(|found| (found.route.clone(), found.matched_prefix));
        assert_eq!(found, scan(&routes, &request), "{line}");
    }
}

/// What is written shows as it is read.
fn route((number, line): (usize, &str)) -> Option<Route> {
    let (host, path) = line.split_once(' ')?;
    let host = match host {
        "-" => None,
        host => Some(HostPattern::parse(host).ok()?),
    };
    let path = PathPattern::parse(path).ok()?;
    assert_eq!(PathPattern::parse(&path.to_string()).ok().map(|again| again.to_string()), Some(path.to_string()));
    assert_eq!(host.as_ref().and_then(|host| HostPattern::parse(&host.to_string()).ok()), host);
    if matches!(&path, PathPattern::Parameters(text) if text.contains("{{") || text.contains("}}")) {
        return None;
    }
    Some(Route {
        name: Name::parse(&format!("r{number}")).expect("a name"),
        service: Name::parse("s").expect("a name"),
        hosts: host.into_iter().collect(),
        paths: vec![path],
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        priority: 0,
        strip_path: false,
        preserve_host: false,
        chain: Vec::new(),
        tags: Vec::new(),
    })
}

struct Asked<'t> {
    host: String,
    path: &'t str,
    headers: HeaderMap,
}

impl RequestFacts for Asked<'_> {
    fn method(&self) -> &Method {
        &Method::GET
    }
    fn host(&self) -> &str {
        &self.host
    }
    fn path(&self) -> &str {
        self.path
    }
    fn query(&self) -> &str {
        ""
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    fn client_address(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }
}
