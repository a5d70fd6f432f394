//! The head that an upstream is sent.

use http::uri::{Authority, Scheme as UriScheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version, header};
use tollgate_model::entity::Scheme;
use tollgate_plugin_host::{Exchange, RequestHead};

use crate::body::RequestBody;
use crate::error::ErrorKind;
use crate::fields;
use crate::intake::Ends;
use crate::snapshot::{ServiceEntry, prefixed};
use crate::upstream::{Endpoint, PooledConnection};

/// As HTTP/1.1 has it.
pub(super) fn head(
    exchange: &Exchange,
    service: &ServiceEntry,
    endpoint: &Endpoint,
    ends: &Ends,
    upgrade: Option<&HeaderValue>,
    preserve_host: bool,
) -> Result<http::request::Parts, ErrorKind> {
    let request = &exchange.request;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = request.method.clone();
    parts.version = Version::HTTP_11;
    parts.uri = request
        .upstream_target()
        .and_then(|target| prefixed(&service.path, target))
        .map(Uri::from)
        .ok_or(ErrorKind::BadRequest("the request target is not valid"))?;
    parts.headers = headers(request, endpoint, ends, preserve_host);
    fields::tell_consumer(&mut parts.headers, exchange.identity.as_deref());
    if let Some(protocol) = upgrade {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, protocol.clone());
    }
    Ok(parts)
}

fn headers(request: &RequestHead, endpoint: &Endpoint, ends: &Ends, preserve_host: bool) -> HeaderMap {
    let mut headers = request.headers.clone();
    // Answered here: the body is asked for when the upstream wants it.
    headers.remove(header::EXPECT);
    let host = match &request.host_override {
        Some(host) => host,
        None if preserve_host => request.authority.header(),
        None => &endpoint.authority,
    };
    headers.insert(header::HOST, host.clone());
    fields::forwarded(&mut headers, ends, request.scheme, request.authority.header());
    fields::via(&mut headers, request.version);
    headers.insert(fields::X_REQUEST_ID, request.id.clone());
    headers
}

/// A request in the form of the connection's protocol.
pub(super) fn joined(
    mut head: http::request::Parts,
    body: RequestBody,
    connection: &PooledConnection,
) -> Result<Request<RequestBody>, ErrorKind> {
    if connection.is_http2() {
        return Ok(Request::from_parts(for_http2(head, &connection.endpoint)?, body));
    }
    // A body of unknown length is told to be one: for methods that seldom have a body hyper would
    // leave it out otherwise.
    if http_body::Body::size_hint(&body).exact().is_none() {
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(Request::from_parts(head, body))
}

/// What stood in Host becomes the authority (RFC 9113, 8.3.1); fields of one connection have no place.
fn for_http2(mut head: http::request::Parts, endpoint: &Endpoint) -> Result<http::request::Parts, ErrorKind> {
    let host = head.headers.remove(header::HOST);
    let authority = [host.as_ref(), Some(&endpoint.authority)].into_iter().flatten().find_map(|host| {
        let authority = Authority::try_from(host.as_bytes()).ok()?;
        (!authority.as_str().is_empty()).then_some(authority)
    });
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(match endpoint.address().scheme {
        Scheme::Http => UriScheme::HTTP,
        Scheme::Https => UriScheme::HTTPS,
    });
    uri.authority = authority;
    uri.path_and_query = head.uri.path_and_query().cloned();
    head.uri = Uri::from_parts(uri).map_err(|_| ErrorKind::BadRequest("the request target is not valid"))?;
    head.version = Version::HTTP_2;
    head.headers.remove(header::TRANSFER_ENCODING);
    Ok(head)
}
