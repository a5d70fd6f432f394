//! The request that an upstream is sent.

use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version, header};
use tollgate_model::entity::Scheme;
use tollgate_plugin_host::{Exchange, RequestHead};

use super::Errand;
use crate::body::RequestBody;
use crate::error::ErrorKind;
use crate::fields;
use crate::snapshot::prefixed;
use crate::upstream::{Endpoint, PooledConnection};

/// In the form of the connection's protocol.
pub(super) fn request(
    errand: &Errand<'_>,
    exchange: &Exchange,
    connection: &PooledConnection,
    body: RequestBody,
) -> Result<Request<RequestBody>, ErrorKind> {
    let head = &exchange.request;
    let target = head.upstream_target().and_then(|target| prefixed(&errand.service.path, target)).ok_or(INVALID)?;
    // Nor does HTTP/1.1 send trailers behind a length; those that are not announced it never sends.
    let unknown_length = match http_body::Body::size_hint(&body).exact() {
        Some(0) => false,
        Some(_) => head.headers.contains_key(header::TRAILER),
        None => true,
    };
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.headers_mut() = headers(errand, head, &connection.endpoint);
    fields::tell_consumer(request.headers_mut(), exchange.identity.as_deref());
    if connection.is_http2() {
        for_http2(&mut request, target, &connection.endpoint)?;
        return Ok(request);
    }
    *request.uri_mut() = Uri::from(target);
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
    Ok(request)
}

/// A copy: the original is wanted by the log, and by another attempt.
fn headers(errand: &Errand<'_>, request: &RequestHead, endpoint: &Endpoint) -> HeaderMap {
    // With room for what is added: a map that grows is hashed anew.
    let mut headers = HeaderMap::with_capacity(request.headers.len() + ADDED);
    for (name, value) in &request.headers {
        // `Expect` is answered here: the body is asked for when the upstream wants it.
        if name != header::EXPECT && name != header::HOST {
            headers.append(name.clone(), value.clone());
        }
    }
    let host = match &request.host_override {
        Some(host) => host,
        None if errand.preserve_host => request.authority.header(),
        None => &endpoint.authority,
    };
    headers.insert(header::HOST, host.clone());
    fields::forwarded(&mut headers, errand.ends, request.scheme, request.authority.header());
    fields::via(&mut headers, request.version);
    headers.insert(fields::X_REQUEST_ID, request.id.clone());
    headers
}

/// What stood in Host becomes the authority (RFC 9113, 8.3.1); fields of one connection have no place.
fn for_http2(request: &mut Request<RequestBody>, target: PathAndQuery, endpoint: &Endpoint) -> Result<(), ErrorKind> {
    let host = request.headers_mut().remove(header::HOST);
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
    uri.path_and_query = Some(target);
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| INVALID)?;
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(header::TRANSFER_ENCODING);
    Ok(())
}

const INVALID: ErrorKind = ErrorKind::BadRequest("the request target is not valid");
/// Fields that are usually added: Host, where the request came from, who calls.
const ADDED: usize = 12;
