//! Fields that a proxy takes away and adds (RFC 9110, 7.6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;
use tollgate_plugin_host::CONSUMER_FIELDS;

use crate::intake::Ends;

/// Whether the message asks for another protocol on its connection, and for which.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(header::UPGRADE)?;
    connection_options(headers).any(|option| option.eq_ignore_ascii_case("upgrade")).then(|| protocol.clone())
}

/// Takes away what belongs to one connection only, and what `Connection` names. `found`: those that are
/// there, as bits.
fn remove_hop_by_hop(headers: &mut HeaderMap, found: u16) {
    if found & HAS_CONNECTION != 0 {
        // Names are collected first: `Connection` itself must not change while it is read.
        let named: SmallVec<[HeaderName; 2]> =
            connection_options(headers).filter_map(|option| named_by(option.as_bytes())).collect();
        for name in &named {
            headers.remove(name);
        }
    }
    for (bit, name) in HOP_BY_HOP.iter().enumerate() {
        if found & 1 << bit != 0 {
            headers.remove(name);
        }
    }
}

/// The field that an option of `Connection` takes along. Of what is usually there, some are no fields, and others
/// go anyway.
pub(crate) fn named_by(option: &[u8]) -> Option<HeaderName> {
    if option.is_empty() || option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close") {
        return None;
    }
    let name = HeaderName::from_bytes(option).ok()?;
    (!END_TO_END.contains(&name) && !is_forwarding(name.as_str())).then_some(name)
}

/// Whether a field of this name belongs to one connection only.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    hop_by_hop(name) != 0
}

/// Takes away what belongs to the upstream's own connection, and a length that does not say one thing. (Of HTTP/1.1
/// the connection itself takes them.)
pub(crate) fn cleanse_response(headers: &mut HeaderMap) {
    let (mut found, mut lengths, mut plain) = (0, 0, true);
    for (name, value) in headers.iter() {
        if name == header::CONTENT_LENGTH {
            lengths += 1;
            plain &= value.as_bytes().iter().all(u8::is_ascii_digit);
        } else {
            found |= hop_by_hop(name.as_str());
        }
    }
    if found != 0 {
        remove_hop_by_hop(headers, found);
    }
    if lengths > 1 || !plain || found & HAS_TRANSFER_ENCODING != 0 {
        headers.remove(header::CONTENT_LENGTH);
    }
}

/// Whether the sender takes trailers (`TE: trailers`), the one option that may be passed on.
pub(crate) fn accepts_trailers(headers: &HeaderMap) -> bool {
    let options = headers.get_all(header::TE).iter().filter_map(|value| value.to_str().ok());
    options.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("trailers"))
}

/// Takes away what belongs to the client's own connection (`TE: trailers` may be passed on), what
/// only the gateway may say of consumers and, unless the peer is trusted, of the way a request came.
/// Names with `_` for `-` count as the same: many servers read them so.
pub(crate) fn cleanse(headers: &mut HeaderMap, trusted: bool) {
    let forged = if trusted { forged_by_anybody } else { forged_by_strangers };
    // Usually there is nothing: one look at each name instead of a search for each that is unwanted.
    let (mut found, mut any_forged) = (0, false);
    for name in headers.keys().map(HeaderName::as_str) {
        found |= hop_by_hop(name);
        any_forged |= forged(name);
    }
    if found != 0 {
        let trailers = found & HAS_TE != 0 && accepts_trailers(headers);
        remove_hop_by_hop(headers, found);
        if trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
    if any_forged {
        remove_all(headers, forged);
    }
}

/// Takes away trailers that would say where a message goes or ends, or who sent it (RFC 9110, 6.5.1): a
/// receiver may merge them into the head.
pub(crate) fn cleanse_trailers(trailers: &mut HeaderMap) {
    remove_all(trailers, |name| {
        hop_by_hop(name) != 0 || forged_by_strangers(name) || is_forwarding(name) || NO_TRAILERS.contains(&name)
    });
}

fn remove_all(headers: &mut HeaderMap, unwanted: fn(&str) -> bool) {
    while let Some(name) = headers.keys().find(|name| unwanted(name.as_str())).cloned() {
        headers.remove(name);
    }
}

fn forged_by_anybody(name: &str) -> bool {
    is_consumer(name) || is_client_certificate(name) || (name.contains('_') && is_misread(&dashed(name)))
}

/// What servers that read `_` as `-` would take for the real field.
fn is_misread(name: &str) -> bool {
    is_consumer(name)
        || is_client_certificate(name)
        || is_forwarding(name)
        || hop_by_hop(name) != 0
        || name == "content-length"
}

fn forged_by_strangers(name: &str) -> bool {
    matches!(name, "forwarded" | "x-real-ip") || forged_by_anybody(name)
}

fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

/// The bit of a field in [`HOP_BY_HOP`]; 0 of any other.
fn hop_by_hop(name: &str) -> u16 {
    match name {
        "connection" => HAS_CONNECTION,
        "te" => HAS_TE,
        "transfer-encoding" => HAS_TRANSFER_ENCODING,
        "upgrade" => 1 << 3,
        "keep-alive" => 1 << 4,
        "proxy-authenticate" => 1 << 5,
        "proxy-authorization" => 1 << 6,
        "proxy-connection" => 1 << 7,
        "http2-settings" => 1 << 8,
        _ => 0,
    }
}

fn is_consumer(name: &str) -> bool {
    CONSUMER_FIELDS.contains(&name)
}

fn is_client_certificate(name: &str) -> bool {
    matches!(name, "client-cert" | "client-cert-chain")
}

fn is_forwarding(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-request-id"
            | "x-real-ip"
    )
}

/// One Cookie field of those that HTTP/2 clients may split it into (RFC 9113, 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if crumbs.nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let whole = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).expect("made of field values");
    headers.insert(header::COOKIE, whole);
}

/// A certificate (DER) as `Client-Cert` has it: a byte sequence (RFC 9440, 2.1; RFC 8941, 3.3.5).
pub(crate) fn client_certificate(der: &[u8]) -> HeaderValue {
    HeaderValue::try_from(format!(":{}:", STANDARD.encode(der))).expect("base64 is a field value")
}

/// `X-Forwarded-*`: added to what a trusted proxy said in `headers`, put in place of what anybody else did. The
/// fields that [`is_replaced`] names are not to be sent beside them.
pub(crate) fn forwarded(
    headers: &HeaderMap,
    ends: &Ends,
    scheme: &'static str,
    host: &HeaderValue,
    mut field: impl FnMut(HeaderName, &HeaderValue),
) {
    let before = match (ends.trusted, headers.get(&X_FORWARDED_FOR)) {
        (true, Some(_)) => joined(headers, &X_FORWARDED_FOR),
        _ => None,
    };
    let chain = before.and_then(|before| {
        let peer = ends.peer_text.to_str().ok()?;
        HeaderValue::from_maybe_shared(bytes::Bytes::from(format!("{before}, {peer}"))).ok()
    });
    field(X_FORWARDED_FOR, chain.as_ref().unwrap_or(&ends.peer_text));
    let mut say = |name: HeaderName, value: &HeaderValue| {
        if !ends.trusted || !headers.contains_key(&name) {
            field(name, value);
        }
    };
    say(X_FORWARDED_PROTO, &HeaderValue::from_static(scheme));
    say(X_FORWARDED_PORT, &ends.local_port);
    if !host.is_empty() {
        say(X_FORWARDED_HOST, host);
    }
    if let Some(certificate) = &ends.client_certificate {
        field(CLIENT_CERT, certificate);
    }
}

/// Whether a client's field of this name makes place for the gateway's own.
pub(crate) fn is_replaced(name: &str, ends: &Ends) -> bool {
    match name {
        "x-forwarded-for" | "x-request-id" => true,
        "x-forwarded-proto" | "x-forwarded-port" | "x-forwarded-host" => !ends.trusted,
        "client-cert" => ends.client_certificate.is_some(),
        _ => false,
    }
}

pub(crate) fn via(headers: &mut HeaderMap, version: Version) {
    headers.append(header::VIA, via_of(version));
}

/// What a message that came in this version is sent on with.
pub(crate) fn via_of(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_10 => VIA_10,
        Version::HTTP_2 => VIA_20,
        _ => VIA_11,
    }
}

/// All values of a list field in one, when they are text.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|option| !option.is_empty())
}

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const VIA_11: HeaderValue = HeaderValue::from_static("1.1 tollgate");
const VIA_20: HeaderValue = HeaderValue::from_static("2.0 tollgate");
const VIA_10: HeaderValue = HeaderValue::from_static("1.0 tollgate");

/// What a `Connection` field can't make disappear: it decides where a request goes or who sent it.
const END_TO_END: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::AUTHORIZATION,
    header::COOKIE,
    header::CACHE_CONTROL,
    X_REQUEST_ID,
];

/// In the order of [`hop_by_hop`]'s bits.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];
const HAS_CONNECTION: u16 = 1;
const HAS_TE: u16 = 1 << 1;
const HAS_TRANSFER_ENCODING: u16 = 1 << 2;

/// Fields of a head that must not come behind a body.
const NO_TRAILERS: [&str; 12] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "max-forwards",
    "set-cookie",
    "trailer",
    "www-authenticate",
];

/// What a target gets of these fields, as requests are sent.
#[cfg(any(test, fuzzing))]
pub(crate) fn sent(client: &HeaderMap, ends: &Ends, scheme: &'static str, host: &HeaderValue) -> HeaderMap {
    let kept = client.iter().filter(|(name, _)| !is_replaced(name.as_str(), ends));
    let mut headers: HeaderMap = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    forwarded(client, ends, scheme, host, |name, value| {
        headers.append(name, value.clone());
    });
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn connection_names_what_goes_but_not_what_matters() {
        let mut headers = map(&[
            ("connection", "close, X-Private , authorization"),
            ("x-private", "1"),
            ("authorization", "a"),
            ("te", "trailers"),
        ]);
        assert!(accepts_trailers(&headers));
        cleanse_response(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["authorization"]);
    }

    #[test]
    fn crumbs_become_a_cookie() {
        let mut headers = map(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3"), ("cookie", "d=4")]);
        join_cookies(&mut headers);
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
    }

    #[test]
    fn every_hop_by_hop_field_has_its_bit() {
        for (bit, name) in HOP_BY_HOP.iter().enumerate() {
            assert_eq!(hop_by_hop(name.as_str()), 1 << bit, "{name}");
        }
    }

    #[test]
    fn connection_can_not_remove_what_a_proxy_vouched_for() {
        let mut headers = map(&[("connection", "x-forwarded-for, X-Request-Id"), ("x-forwarded-for", "192.0.2.1")]);
        cleanse(&mut headers, true);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-forwarded-for"]);
    }

    #[test]
    fn trailers_say_nothing_of_framing_or_identity() {
        let mut trailers = map(&[
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("x-consumer-username", "root"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x-forwarded-host", "evil"),
            ("grpc-status", "0"),
        ]);
        cleanse_trailers(&mut trailers);
        assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }

    #[test]
    fn a_host_that_nobody_named_can_not_be_forged() {
        let ends = Ends::new("192.0.2.7:1000".parse().unwrap(), "192.0.2.1:8000".parse().unwrap(), false);
        let headers = sent(&map(&[("x-forwarded-host", "evil")]), &ends, "http", &HeaderValue::from_static(""));
        assert!(!headers.contains_key("x-forwarded-host"));
    }

    #[test]
    fn underscores_forge_nothing() {
        let mut headers = map(&[
            ("x_consumer_id", "root"),
            ("client-cert", ":AA==:"),
            ("client_cert", "x"),
            ("x-real-ip", "1.2.3.4"),
            ("x_harmless", "1"),
        ]);
        cleanse(&mut headers, false);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x_harmless"]);
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let host = HeaderValue::from_static("shop.example");
        let ends = |trusted| Ends::new("192.0.2.7:1000".parse().unwrap(), "192.0.2.1:8000".parse().unwrap(), trusted);
        let claimed =
            map(&[("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "10.0.0.2"), ("x-forwarded-proto", "https")]);
        let headers = sent(&claimed, &ends(false), "http", &host);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-port"], "8000");
        let headers = sent(&claimed, &ends(true), "http", &host);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.1, 10.0.0.2, 192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "shop.example");
    }
}
