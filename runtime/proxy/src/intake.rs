//! Takes a request in: checks what hyper leaves to us, finds the client, makes the request's head.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, Version, request};
use tollgate_model::normal_form::{self, PathRules};
use tollgate_plugin_host::{Authority, Exchange, RequestHead};

use crate::config::ProxyConfig;
use crate::drain::OpenCount;
use crate::ending::Ending;
use crate::error::ErrorKind;
use crate::fields;
use crate::framing::Heads;

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
    /// The certificate that the client proved to own, as `Client-Cert` has it.
    pub(crate) client_certificate: Option<HeaderValue>,
    /// Of an HTTP/1.1 connection: the heads of its requests as they came.
    pub(crate) heads: Option<Heads>,
    /// Of an HTTP/2 connection: the streams that are open.
    pub(crate) streams: Option<OpenCount>,
    /// How the connection is to end.
    pub(crate) ending: Ending,
}

impl Ends {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, trusted: bool) -> Ends {
        let text = Bytes::from(peer.ip().to_canonical().to_string());
        let peer_text = HeaderValue::from_maybe_shared(text).expect("an address is a field value");
        Ends {
            peer,
            peer_text,
            local_port: local.port().into(),
            trusted,
            scheme: "http",
            client_certificate: None,
            heads: None,
            streams: None,
            ending: Ending::default(),
        }
    }
}

/// Makes ids for requests that bring none: a random part for the worker, and a count.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    count: Cell<u32>,
    /// Room for the texts of the next ids: they share memory, so that an id is copied for nothing.
    room: RefCell<BytesMut>,
}

/// A request that may be routed; route and service are not known yet. On refusal it comes back as far as it
/// was understood, for the answer and the log.
pub(crate) fn take_in(
    mut parts: request::Parts,
    ends: &Ends,
    config: &ProxyConfig,
    ids: &RequestIds,
) -> (Box<Exchange>, Result<(), ErrorKind>) {
    if parts.version == Version::HTTP_2 {
        fields::join_cookies(&mut parts.headers);
    }
    let client = client_address(&parts.headers, ends, config);
    let survey = Survey::of(&parts.headers);
    let id = match survey.id {
        Some(id) if acceptable_id(id) => id.clone(),
        _ => ids.next(),
    };
    let (authority, uri, outcome) = match checked(&parts, &survey, config) {
        Ok((authority, normal)) => (authority, normal.unwrap_or(parts.uri), Ok(())),
        Err(kind) => (Authority::new(HeaderValue::from_static(""), 0), parts.uri, Err(kind)),
    };
    let exchange = Exchange::new(RequestHead {
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
    });
    (exchange, outcome)
}

/// What one look over a head's fields finds.
#[derive(Default)]
struct Survey<'h> {
    /// As on the wire, line ends included.
    size: usize,
    host: Several<'h>,
    transfer_encoding: Several<'h>,
    content_length: Option<&'h HeaderValue>,
    id: Option<&'h HeaderValue>,
}

/// A field of which there should be one at most.
#[derive(Default)]
struct Several<'h> {
    first: Option<&'h HeaderValue>,
    more: bool,
}

impl<'h> Survey<'h> {
    fn of(headers: &'h HeaderMap) -> Survey<'h> {
        let mut survey = Survey::default();
        for (name, value) in headers {
            survey.size += name.as_str().len() + value.len() + ": \r\n".len();
            if name == header::HOST {
                survey.host.add(value);
            } else if name == header::TRANSFER_ENCODING {
                survey.transfer_encoding.add(value);
            } else if name == header::CONTENT_LENGTH {
                survey.content_length = Some(value);
            } else if name == fields::X_REQUEST_ID {
                survey.id.get_or_insert(value);
            }
        }
        survey
    }
}

impl<'h> Several<'h> {
    fn add(&mut self, value: &'h HeaderValue) {
        self.more |= self.first.is_some();
        self.first.get_or_insert(value);
    }
}

/// The authority, and the target where it is not in its normal form yet.
fn checked(
    parts: &request::Parts,
    survey: &Survey<'_>,
    config: &ProxyConfig,
) -> Result<(Authority, Option<Uri>), ErrorKind> {
    if parts.method == Method::CONNECT {
        return Err(ErrorKind::MethodNotAllowed);
    }
    if parts.headers.len() > config.header_count || survey.size > config.head_size {
        return Err(ErrorKind::HeadTooLarge);
    }
    framing(&survey.transfer_encoding)?;
    let target_size = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target_size > config.target_size {
        return Err(ErrorKind::TargetTooLong);
    }
    if let Some(most) = config.body_size
        && survey.content_length.and_then(number).is_some_and(|length| length > most)
    {
        return Err(ErrorKind::BodyTooLarge);
    }
    let authority = authority(parts, &survey.host)?;
    Ok((authority, normal_target(&parts.uri, config.path_rules)?))
}

/// Exactly one way to tell where the body ends (RFC 9112, 6.3): anything else is read differently
/// by somebody. (A Content-Length beside `chunked` never gets here: hyper drops it.)
fn framing(codings: &Several<'_>) -> Result<(), ErrorKind> {
    let Some(coding) = codings.first else { return Ok(()) };
    if codings.more || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(ErrorKind::BadRequest("the request's Transfer-Encoding is not exactly chunked"));
    }
    Ok(())
}

/// The host asked for: of an absolute target, otherwise of the one Host field (RFC 9112, 3.2).
fn authority(parts: &request::Parts, hosts: &Several<'_>) -> Result<Authority, ErrorKind> {
    let host = hosts.first;
    if hosts.more {
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

/// Length of the name in `name[:port]`, without the dot that may end it; `None` when it is not of
/// that form.
pub(crate) fn host_name_length(text: &[u8]) -> Option<usize> {
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let (mut length, mut label) = (0, false);
    for byte in text.iter().take_while(|byte| usual(byte)) {
        // An empty label: some servers skip it, others look for another host.
        if *byte == b'.' && !label {
            return None;
        }
        label = *byte != b'.';
        length += 1;
    }
    let rest = &text[length..];
    let name = if length > 0 && !label { length - 1 } else { length };
    let port_is_valid = |rest: &[u8]| match rest.split_first() {
        None => true,
        Some((b':', port)) => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    if name > 0 && port_is_valid(rest) {
        return Some(name);
    }
    // An IPv6 address in brackets, and nothing else in them.
    let inner = text.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', inner)?;
    let address = std::str::from_utf8(&inner[..end]).ok()?;
    (address.parse::<Ipv6Addr>().is_ok() && port_is_valid(&inner[end + 1..])).then_some(end + 2)
}

/// The target in origin form, its path in normal form; `None` where it is that already.
fn normal_target(uri: &Uri, rules: PathRules) -> Result<Option<Uri>, ErrorKind> {
    let target = uri.path_and_query();
    let raw = target.map_or("/", PathAndQuery::path);
    if raw == "*" {
        return Ok(Some(Uri::from_static("*")));
    }
    let raw = if raw.is_empty() { "/" } else { raw };
    let path = normal_form::path(raw, rules).map_err(ErrorKind::BadRequest)?;
    match (&path, uri.authority(), target) {
        (Cow::Borrowed(_), None, _) => return Ok(None),
        (Cow::Borrowed(path), Some(_), Some(target)) if target.as_str().starts_with(*path) => {
            let origin = Uri::from(target.clone());
            // Of `http://a#b` the library keeps nothing behind the authority, and that is no path at all.
            if !origin.path().is_empty() {
                return Ok(Some(origin));
            }
        }
        _ => {}
    }
    let text = match target.and_then(PathAndQuery::query) {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    Uri::from_maybe_shared(Bytes::from(text))
        .map(Some)
        .map_err(|_| ErrorKind::BadRequest("the request target is not valid"))
}

/// The last address that no trusted proxy vouches for.
pub(crate) fn client_address(headers: &HeaderMap, ends: &Ends, config: &ProxyConfig) -> IpAddr {
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

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

/// What a client may choose itself: short and safe in logs.
fn acceptable_id(id: &HeaderValue) -> bool {
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

impl RequestIds {
    pub(crate) fn new() -> RequestIds {
        RequestIds { prefix: rand::random(), count: Cell::new(rand::random()), room: RefCell::default() }
    }

    fn next(&self) -> HeaderValue {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        let number = u128::from(self.prefix) << 32 | u128::from(count);
        let text: [u8; 24] = std::array::from_fn(|i| HEX[(number >> (92 - 4 * i)) as usize & 15]);
        let mut room = self.room.borrow_mut();
        if room.capacity() < text.len() {
            room.reserve(IDS * text.len());
        }
        room.extend_from_slice(&text);
        HeaderValue::from_maybe_shared(room.split().freeze()).expect("hex digits are a field value")
    }
}

/// So many texts of ids share memory, which lives as long as the last of them.
const IDS: usize = 32;
const INVALID_HOST: ErrorKind = ErrorKind::BadRequest("the request's Host is not valid");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for (text, length) in [
            ("a.example", 9),
            ("a.example:80", 9),
            ("[::1]:8000", 5),
            ("10.0.0.1", 8),
            ("a:", 1),
            ("a.example.", 9),
            ("a.:80", 1),
        ] {
            assert_eq!(host_name_length(text.as_bytes()), Some(length), "{text}");
        }
        for bad in [
            "",
            "user@a",
            "a/b",
            "a:b",
            "a b",
            "::1",
            "a:123456",
            "a,b",
            "[::1",
            "a?x",
            "[::1]x",
            "a..b",
            ".a",
            ".",
            "[,]",
            "[a]",
            "[127.0.0.1]",
            "[]",
            "[::1%25a]",
        ] {
            assert_eq!(host_name_length(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn absolute_targets_have_a_path_in_origin_form() {
        for (target, origin) in [
            ("http://a", "/"),
            ("http://a?b", "/?b"),
            ("http://a#b", "/"),
            ("http://a/#b", "/"),
            ("http://a/b?c", "/b?c"),
            ("http://a/./b", "/b"),
        ] {
            let normal = normal_target(&target.parse().unwrap(), PathRules::Strict).unwrap().expect("another form");
            assert_eq!((normal.to_string(), normal.path().starts_with('/')), (origin.to_owned(), true), "{target}");
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
