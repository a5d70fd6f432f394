use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, header};
use tollgate_model::condition::AddressBlock;
use tollgate_plugin_host::CONSUMER_FIELDS;

use super::header_fields;
use crate::config::ProxyConfig;
use crate::fields::{X_FORWARDED_FOR, cleanse, cleanse_response, cleanse_trailers, join_cookies, sent};
use crate::intake::{Ends, client_address};

/// What a client may not say is gone after `cleanse`, however it is written; what the gateway adds is there; the
/// client's address is one that only trusted proxies have vouched for.
///
/// A field a line; the first byte says whether the peer is trusted.
pub fn fields(data: &[u8]) {
    let [first, rest @ ..] = data else { return };
    let trusted = first % 2 == 0;
    let headers = header_fields(rest.split(|byte| *byte == b'\n'));
    let config = ProxyConfig { trusted_proxies: blocks(), ..ProxyConfig::default() };
    let peer = "10.0.0.2:4000".parse().expect("an address");
    let ends = Ends::new(peer, "10.0.0.1:80".parse().expect("an address"), trusted);

    let client = client_address(&headers, &ends, &config);
    assert_eq!(client, expected_client(&headers, peer.ip(), trusted, &config));

    let mut request = headers.clone();
    join_cookies(&mut request);
    assert!(request.get_all(header::COOKIE).iter().count() <= 1);
    cleanse(&mut request, trusted);
    let once = request.clone();
    cleanse(&mut request, trusted);
    assert_eq!(request, once, "clean is clean");
    for name in request.keys() {
        // As a careless server reads it.
        let name = name.as_str().replace('_', "-");
        assert!(!CONSUMER_FIELDS.contains(&name.as_str()) && !GONE.contains(&name.as_str()), "{name} passed");
    }
    for name in ["host", "content-length", "authorization", "cookie", "x-forwarded-for"] {
        assert_eq!(headers.contains_key(name), request.contains_key(name), "Connection took {name} away");
    }
    assert!(request.get(header::TE).is_none_or(|te| te == "trailers"));
    let request = sent(&request, &ends, "https", &HeaderValue::from_static("a.example"));
    let chain = request.get_all(X_FORWARDED_FOR).iter().collect::<Vec<_>>();
    assert!(matches!(chain[..], [chain] if chain.as_bytes().ends_with(b"10.0.0.2")), "{chain:?}");
    if !trusted {
        assert_eq!(chain[0], "10.0.0.2");
        assert_eq!(request["x-forwarded-proto"], "https");
        assert_eq!(request.get_all("x-forwarded-host").iter().count(), 1);
    }

    let mut trailers = headers.clone();
    cleanse_trailers(&mut trailers);
    assert!(
        !["host", "content-length", "transfer-encoding", "authorization", "x-forwarded-for"]
            .iter()
            .any(|name| trailers.contains_key(*name))
    );

    let mut response = headers;
    cleanse_response(&mut response);
    assert!(!response.contains_key(header::TRANSFER_ENCODING) && !response.contains_key(header::CONNECTION));
    let lengths: Vec<&HeaderValue> = response.get_all(header::CONTENT_LENGTH).iter().collect();
    assert!(lengths.len() <= 1 && lengths.iter().all(|length| length.as_bytes().iter().all(u8::is_ascii_digit)));
}

/// The same once more, over the list as one text.
fn expected_client(headers: &HeaderMap, peer: IpAddr, trusted: bool, config: &ProxyConfig) -> IpAddr {
    let values = headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    let list = values.collect::<Vec<_>>().join(&b',');
    let mut client = peer;
    for hop in list.split(|byte| *byte == b',').rev() {
        let hop = String::from_utf8_lossy(hop).trim().to_owned();
        let address = hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let address = address.or_else(|_| hop.parse::<std::net::SocketAddr>().map(|address| address.ip()));
        match address {
            Ok(address) if trusted && config.trusts(client) => client = address.to_canonical(),
            _ => break,
        }
    }
    client
}

fn blocks() -> Vec<AddressBlock> {
    vec![
        AddressBlock { address: "10.0.0.0".parse().expect("an address"), prefix: 8 },
        AddressBlock { address: "fd00::".parse().expect("an address"), prefix: 8 },
    ]
}

const GONE: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "client-cert",
    "client-cert-chain",
];
