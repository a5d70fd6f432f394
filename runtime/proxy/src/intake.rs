//! Takes a request in: checks what hyper leaves to us, finds the client, makes the request's head.

use std::borrow::Cow;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::uri::{Authority as UriAuthority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, Uri, Version, request};
use tollgate_plugin_host::{Authority, RequestHead};

use crate::config::ProxyConfig;
use crate::drain::OpenCount;
use crate::error::ErrorKind;
use crate::{fields, normal_form};

/// The ends of a client's connection, with what is told of them made once.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    /// The peer's address as `X-Forwarded-For` has it.
    pub(crate) peer_text: HeaderValue,
    /// The port it connected to, for `X-Forwarded-Port`.
    pub(crate) local_port: HeaderValue,
    /// A proxy whose own word is kept.
    pub(crate) trusted: bool,
    /// `https` over TLS.
    pub(crate) scheme: &'static str,
    /// Of an HTTP/2 connection: the streams that are open.
    pub(crate) streams: Option<OpenCount>,
}

impl Ends {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, trusted: bool) -> Ends {
        let text = Bytes::from(peer.ip().to_canonical().to_string());
        let peer_text = HeaderValue::from_maybe_shared(text).expect("an address is a field value");
        Ends { peer, peer_text, local_port: local.port().into(), trusted, scheme: "http", streams: None }
    }
}

/// Makes ids for requests that bring none: a random part for the worker, and a count.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    count: Cell<u32>,
}

/// The head of a request that may be routed; route and service are not known yet. On refusal the
/// head comes back as far as it was understood, for the answer and the log.
pub(crate) fn take_in(
    mut parts: request::Parts,
    ends: &Ends,
    config: &ProxyConfig,
    ids: &RequestIds,
) -> (RequestHead, Result<(), ErrorKind>) {
    if parts.version == Version::HTTP_2 {
        fields::join_cookies(&mut parts.headers);
    }
    let client = client_address(&parts.headers, ends, config);
    let id = match parts.headers.get(&fields::X_REQUEST_ID) {
        Some(id) if acceptable_id(id) => id.clone(),
        _ => ids.next(),
    };
    let checked = checked(&parts, config);
    let (authority, uri, outcome) = match checked {
        Ok((authority, uri)) => (authority, uri, Ok(())),
        Err(kind) => (Authority::new(HeaderValue::from_static(""), 0), parts.uri, Err(kind)),
    };
    let head = RequestHead {
        id,
        method: parts.method,
        uri,
        version: parts.version,
        headers: parts.headers,
        scheme: ends.scheme,
        authority,
        client,
        peer: ends.peer,
        route: Arc::default(),
        service: Arc::default(),
        target: None,
        host_override: None,
        sent: false,
    };
    (head, outcome)
}

fn checked(parts: &request::Parts, config: &ProxyConfig) -> Result<(Authority, Uri), ErrorKind> {
    if parts.method == Method::CONNECT {
        return Err(ErrorKind::MethodNotAllowed);
    }
    if parts.headers.len() > config.header_count || head_size(&parts.headers) > config.head_size {
        return Err(ErrorKind::HeadTooLarge);
    }
    framing(&parts.headers)?;
    let target_size = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target_size > config.target_size {
        return Err(ErrorKind::TargetTooLong);
    }
    if let Some(most) = config.body_size
        && content_length(&parts.headers).is_some_and(|length| length > most)
    {
        return Err(ErrorKind::BodyTooLarge);
    }
    let authority = authority(parts)?;
    Ok((authority, normal_target(&parts.uri)?))
}

/// As on the wire, line ends included.
fn head_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

/// Exactly one way to tell where the body ends (RFC 9112, 6.3): anything else is read differently
/// by somebody. (A Content-Length beside `chunked` never gets here: hyper drops it.)
fn framing(headers: &HeaderMap) -> Result<(), ErrorKind> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(ErrorKind::BadRequest("the request's Transfer-Encoding is not exactly chunked"));
    }
    Ok(())
}

/// The host asked for: of an absolute target, otherwise of the one Host field (RFC 9112, 3.2).
fn authority(parts: &request::Parts) -> Result<Authority, ErrorKind> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(ErrorKind::BadRequest("the request has more than one Host"));
    }
    let text = match (parts.uri.authority(), host) {
        // Of HTTP/2 the two are one thing (RFC 9113, 8.3.1); an absolute target of HTTP/1.1 stands above Host.
        (Some(authority), Some(host))
            if parts.version == Version::HTTP_2
                && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            return Err(ErrorKind::BadRequest("the request's Host is not its :authority"));
        }
        (Some(authority), _) => HeaderValue::from_str(authority.as_str()).ok(),
        (None, Some(host)) => Some(host.clone()),
        (None, None) if parts.version == Version::HTTP_10 => {
            return Ok(Authority::new(HeaderValue::from_static(""), 0));
        }
        (None, None) => return Err(ErrorKind::BadRequest("the request has no Host")),
    };
    let text = text.ok_or(INVALID_HOST)?;
    let name_length = host_name_length(text.as_bytes()).ok_or(INVALID_HOST)?;
    Ok(Authority::new(text, name_length))
}

/// Length of the name in `name[:port]`; `None` when it is not of that form.
fn host_name_length(text: &[u8]) -> Option<usize> {
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let name = text.iter().take_while(|byte| usual(byte)).count();
    let rest = &text[name..];
    let port_is_valid = |rest: &[u8]| match rest.split_first() {
        None => true,
        Some((b':', port)) => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    if name > 0 && port_is_valid(rest) {
        return Some(name);
    }
    // An IPv6 address in brackets: left to the library.
    let authority = UriAuthority::try_from(text).ok()?;
    let host = authority.host();
    let bracketed = host.starts_with('[') && host.ends_with(']');
    (bracketed && text.starts_with(host.as_bytes()) && port_is_valid(&text[host.len()..])).then_some(host.len())
}

/// The target in origin form, its path in normal form.
fn normal_target(uri: &Uri) -> Result<Uri, ErrorKind> {
    let target = uri.path_and_query();
    let raw = target.map_or("/", PathAndQuery::path);
    if raw == "*" {
        return Ok(Uri::from_static("*"));
    }
    let raw = if raw.is_empty() { "/" } else { raw };
    let path = normal_form::path(raw).map_err(ErrorKind::BadRequest)?;
    match (&path, uri.authority(), target) {
        (Cow::Borrowed(_), None, _) => return Ok(uri.clone()),
        (Cow::Borrowed(path), Some(_), Some(target)) if *path == target.path() => return Ok(Uri::from(target.clone())),
        _ => {}
    }
    let text = match target.and_then(PathAndQuery::query) {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    Uri::from_maybe_shared(Bytes::from(text)).map_err(|_| ErrorKind::BadRequest("the request target is not valid"))
}

/// The last address that no trusted proxy vouches for.
fn client_address(headers: &HeaderMap, ends: &Ends, config: &ProxyConfig) -> IpAddr {
    let peer = ends.peer.ip().to_canonical();
    if !ends.trusted {
        return peer;
    }
    let fields = headers.get_all(&fields::X_FORWARDED_FOR).iter().rev();
    let hops = fields.flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
    let mut client = peer;
    for hop in hops {
        // Whatever else a client wrote into the field, the hops that a trusted proxy added count.
        let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| hop_address(hop.trim())) else { break };
        client = address.to_canonical();
        if !config.trusts(client) {
            break;
        }
    }
    client
}

/// An address, with or without a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What a client may choose itself: short and safe in logs.
fn acceptable_id(id: &HeaderValue) -> bool {
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

impl RequestIds {
    pub(crate) fn new() -> RequestIds {
        RequestIds { prefix: rand::random(), count: Cell::new(rand::random()) }
    }

    fn next(&self) -> HeaderValue {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let number = u128::from(self.prefix) << 32 | u128::from(count);
        let text: [u8; 24] = std::array::from_fn(|i| HEX[(number >> (92 - 4 * i)) as usize & 15]);
        HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&text)).expect("hex digits are a field value")
    }
}

const INVALID_HOST: ErrorKind = ErrorKind::BadRequest("the request's Host is not valid");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for (text, length) in [("a.example", 9), ("a.example:80", 9), ("[::1]:8000", 5), ("10.0.0.1", 8), ("a:", 1)] {
            assert_eq!(host_name_length(text.as_bytes()), Some(length), "{text}");
        }
        for bad in ["", "user@a", "a/b", "a:b", "a b", "::1", "a:123456", "a,b", "[::1", "a?x", "[::1]x"] {
            assert_eq!(host_name_length(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_client_is_the_last_one_nobody_vouches_for() {
        let config = ProxyConfig {
            trusted_proxies: vec![tollgate_model::condition::AddressBlock {
                address: "10.0.0.0".parse().unwrap(),
                prefix: 8,
            }],
            ..ProxyConfig::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9, 198.51.100.4, 10.1.1.1"));
        let ends = |trusted| Ends::new("10.0.0.2:4000".parse().unwrap(), "10.0.0.1:80".parse().unwrap(), trusted);
        assert_eq!(client_address(&headers, &ends(true), &config).to_string(), "198.51.100.4");
        assert_eq!(client_address(&headers, &ends(false), &config).to_string(), "10.0.0.2");
        headers.insert("x-forwarded-for", HeaderValue::from_static("nonsense, 10.1.1.1"));
        assert_eq!(client_address(&headers, &ends(true), &config).to_string(), "10.1.1.1");
    }

    #[test]
    fn ids_differ_and_have_a_fixed_length() {
        let ids = RequestIds::new();
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a, b);
        assert_eq!(a.len(), 24);
    }
}
