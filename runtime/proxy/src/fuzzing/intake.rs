use http::header::HOST;
use http::{HeaderValue, Method, Request, Uri, Version};
use tollgate_model::normal_form::{self, PathRules};

use super::header_fields;
use crate::config::ProxyConfig;
use crate::intake::{Ends, RequestIds, host_name_length, take_in};

/// A request that is taken in has a host that is one and a path in its normal form, and is the same when it is
/// taken in once more: what is matched is what is forwarded.
///
/// The first line is the target, each other one a field; its first byte chooses method and version.
pub fn intake(data: &[u8]) {
    let [first, rest @ ..] = data else { return };
    host(rest);
    let mut lines = rest.split(|byte| *byte == b'\n');
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let headers = header_fields(lines);
    let mut request = Request::new(());
    *request.method_mut() = [Method::GET, Method::OPTIONS, Method::CONNECT][usize::from(first % 3)].clone();
    *request.version_mut() = [Version::HTTP_11, Version::HTTP_10, Version::HTTP_2][usize::from(first / 3 % 3)];
    let path_rules = if first / 9 % 2 == 0 { PathRules::Strict } else { PathRules::Lenient };
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers;

    let config = ProxyConfig { path_rules, ..ProxyConfig::default() };
    let ends = Ends::new(([192, 0, 2, 1], 4000).into(), ([192, 0, 2, 2], 80).into(), false);
    let ids = RequestIds::new();
    let (exchange, outcome) = take_in(request.into_parts().0, &ends, &config, &ids);
    let head = &exchange.request;
    assert!(head.id.as_bytes().iter().all(u8::is_ascii_graphic) && (1..=128).contains(&head.id.len()));
    if outcome.is_err() {
        return;
    }
    assert!(head.uri.authority().is_none() && head.uri.scheme().is_none(), "in origin form");
    assert_eq!(head.uri.query(), uri.query(), "a query is left as it is");
    let target = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    assert!(target == "*" || target.starts_with('/'), "{target}");
    let path = head.uri.path();
    assert!(path == "*" || normal_form::path(path, path_rules).as_deref() == Ok(path), "{path}");
    let name = head.authority.name();
    assert!(!name.contains(['@', '/', '?', '#', ' ', ',', '\\']) && !name.ends_with('.'), "{name}");
    assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name}");
    if head.version != Version::HTTP_10 {
        assert!(!name.is_empty());
    }

    let mut again = Request::new(());
    *again.method_mut() = head.method.clone();
    *again.version_mut() = head.version;
    *again.uri_mut() = head.uri.clone();
    *again.headers_mut() = head.headers.clone();
    if !head.authority.header().is_empty() {
        again.headers_mut().insert(HOST, head.authority.header().clone());
    }
    // A host that only the target had is a field now.
    let config = ProxyConfig { header_count: config.header_count + 1, head_size: config.head_size * 2, ..config };
    let (twice, outcome) = take_in(again.into_parts().0, &ends, &config, &ids);
    let twice = &twice.request;
    assert_eq!(outcome, Ok(()));
    assert_eq!((&twice.uri, twice.authority.name()), (&head.uri, name));
}

/// A host that we take is the one that the library finds.
fn host(text: &[u8]) {
    let Some(length) = host_name_length(text) else { return };
    let name = &text[..length];
    assert!(!name.is_empty() && HeaderValue::from_bytes(text).is_ok());
    let authority = http::uri::Authority::try_from(text).expect("what is a host is an authority");
    assert_eq!(authority.host().trim_end_matches('.').as_bytes(), name);
}
