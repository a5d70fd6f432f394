//! The request that an upstream is sent.

use http::uri::{Authority, Scheme as UriScheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version, header};
use tollgate_model::entity::Scheme;
use tollgate_plugin_host::{Exchange, RequestHead};

use super::Errand;
use crate::body::RequestBody;
use crate::error::ErrorKind;
use crate::fields;
use crate::snapshot::prefixed;
use crate::upstream::{Endpoint, PooledConnection};

/// In the form of the connection's protocol. Over HTTP/2 what would be Host is its authority (RFC 9113, 8.3.1).
pub(super) fn uri(errand: &Errand<'_>, head: &RequestHead, connection: &PooledConnection) -> Result<Uri, ErrorKind> {
    let target = head.upstream_target().and_then(|target| prefixed(&errand.service.path, target)).ok_or(INVALID)?;
    if !connection.is_http2() {
        return Ok(Uri::from(target));
    }
    let endpoint = &connection.endpoint;
    let authority = [host(errand, head, endpoint), &endpoint.authority].into_iter().find_map(|host| {
        let authority = Authority::try_from(host.as_bytes()).ok()?;
        (!authority.as_str().is_empty()).then_some(authority)
    });
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match endpoint.address().scheme {
        Scheme::Http => UriScheme::HTTP,
        Scheme::Https => UriScheme::HTTPS,
    });
    parts.authority = authority;
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|_| INVALID)
}

/// In the form of the connection's protocol, as `uri` is.
pub(super) fn request(
    errand: &Errand<'_>,
    exchange: &Exchange,
    uri: Uri,
    connection: &PooledConnection,
    body: RequestBody,
) -> Request<RequestBody> {
    let head = &exchange.request;
    // Nor does HTTP/1.1 send trailers behind a length; those that are not announced it never sends.
    let unknown_length = match http_body::Body::size_hint(&body).exact() {
        Some(0) => false,
        Some(_) => head.headers.contains_key(header::TRAILER),
        None => true,
    };
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers(errand, head);
    fields::tell_consumer(request.headers_mut(), exchange.identity.as_deref());
    if connection.is_http2() {
        *request.version_mut() = Version::HTTP_2;
        // Fields of one connection have no place.
        request.headers_mut().remove(header::TRANSFER_ENCODING);
        return request;
    }
    request.headers_mut().insert(header::HOST, host(errand, head, &connection.endpoint).clone());
    if let Some(protocol) = errand.upgrade {
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(header::UPGRADE, protocol.clone());
    }
    // A body of unknown length is told to be one: for methods that seldom have a body hyper would
    // leave it out otherwise.
    if unknown_length {
        request.headers_mut().remove(header::CONTENT_LENGTH);
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    request
}

fn host<'a>(errand: &Errand<'_>, request: &'a RequestHead, endpoint: &'a Endpoint) -> &'a HeaderValue {
    match &request.host_override {
        Some(host) => host,
        None if errand.preserve_host => request.authority.header(),
        None => &endpoint.authority,
    }
}

/// A copy, Host left out: the original is wanted by the log, and by another attempt.
fn headers(errand: &Errand<'_>, request: &RequestHead) -> HeaderMap {
    // With room for what is added: a map that grows is hashed anew.
    let mut headers = HeaderMap::with_capacity(request.headers.len() + ADDED);
    for (name, value) in &request.headers {
        // `Expect` is answered here: the body is asked for when the upstream wants it.
        if name != header::EXPECT && name != header::HOST {
            headers.append(name.clone(), value.clone());
        }
    }
    fields::forwarded(&mut headers, errand.ends, request.scheme, request.authority.header());
    fields::via(&mut headers, request.version);
    headers.insert(fields::X_REQUEST_ID, request.id.clone());
    headers
}

const INVALID: ErrorKind = ErrorKind::BadRequest("the request target is not valid");
/// Fields that are usually added: Host, where the request came from, who calls.
const ADDED: usize = 10;
