//! The request that an upstream is sent.

use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use tollgate_model::entity::Scheme;
use tollgate_plugin_host::{Exchange, RequestHead};

use super::Errand;
use crate::body::RequestBody;
use crate::error::ErrorKind;
use crate::fields;
use crate::snapshot::prefixed;
use crate::upstream::{Announced, Answer, Endpoint, Expected, Http1, Sender, Sent, write_field};

/// Sends the request in the form of the connection's protocol.
pub(super) fn send<'c>(
    errand: &Errand<'_>,
    exchange: &Exchange,
    endpoint: &Endpoint,
    sender: &'c mut Sender,
    body: RequestBody,
) -> Result<Sent<'c, impl Future<Output = Answer> + use<>>, ErrorKind> {
    let head = &exchange.request;
    let target = head.upstream_target().and_then(|target| prefixed(&errand.service.path, target)).ok_or(INVALID)?;
    let host = host(errand, head, endpoint);
    match sender {
        Sender::Http1(connection) => {
            over_http1(errand, exchange, &target, host, connection, body);
            Ok(Sent::Http1 { connection })
        }
        Sender::Http2(stream) => {
            let uri = absolute(target, host, endpoint)?;
            Ok(Sent::Http2 { answer: stream.send(over_http2(errand, exchange, uri, body)) })
        }
    }
}

/// Written at once: a request that is made into an object first costs several times as much.
fn over_http1(
    errand: &Errand<'_>,
    exchange: &Exchange,
    target: &PathAndQuery,
    host: &HeaderValue,
    connection: &mut Http1,
    body: RequestBody,
) {
    let head = &exchange.request;
    let announced = announced(&body, &head.headers);
    let out = connection.head();
    out.reserve(USUAL_HEAD);
    for part in [head.method.as_str().as_bytes(), b" ", target.as_str().as_bytes(), b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    write_field(out, "host", host.as_bytes());
    each_field(errand, exchange, |name, value| {
        let replaced = match *name {
            header::CONTENT_LENGTH => announced != Announced::Nothing || value.as_bytes() != b"0",
            header::TRANSFER_ENCODING => true,
            header::CONNECTION | header::UPGRADE => errand.upgrade.is_some(),
            _ => false,
        };
        if !replaced {
            write_field(out, name.as_str(), value.as_bytes());
        }
    });
    if let Some(protocol) = errand.upgrade {
        write_field(out, "connection", b"upgrade");
        write_field(out, "upgrade", protocol.as_bytes());
    }
    match announced {
        // A client may say so by a length of 0, which is passed on.
        Announced::Nothing => {}
        Announced::Length(length) => write_field(out, "content-length", itoa::Buffer::new().format(length).as_bytes()),
        Announced::Chunked => write_field(out, "transfer-encoding", b"chunked"),
    }
    out.extend_from_slice(b"\r\n");
    let expected = Expected { head_only: head.method == Method::HEAD, upgrade: errand.upgrade.is_some() };
    connection.begin(body, announced, expected);
}

/// Fields of one connection have no place; what would be Host is the authority (RFC 9113, 8.3.1).
fn over_http2(errand: &Errand<'_>, exchange: &Exchange, uri: Uri, body: RequestBody) -> Request<RequestBody> {
    let head = &exchange.request;
    // With room for what is added: a map that grows is hashed anew.
    let mut headers = HeaderMap::with_capacity(head.headers.len() + ADDED);
    each_field(errand, exchange, |name, value| {
        if name != header::TRANSFER_ENCODING {
            headers.append(name.clone(), value.clone());
        }
    });
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    request
}

fn announced(body: &RequestBody, headers: &HeaderMap) -> Announced {
    if matches!(body, RequestBody::Empty) {
        return Announced::Nothing;
    }
    match http_body::Body::size_hint(body).exact() {
        // No trailers come behind a length.
        Some(length) if !headers.contains_key(header::TRAILER) => Announced::Length(length),
        _ => Announced::Chunked,
    }
}

/// The fields that go to the target, Host and lengths apart: the client's that nothing else takes the place of,
/// and the gateway's own.
fn each_field(errand: &Errand<'_>, exchange: &Exchange, mut field: impl FnMut(&HeaderName, &HeaderValue)) {
    let (head, ends) = (&exchange.request, errand.ends);
    let told = exchange.identity.as_deref().map_or(&[][..], |identity| &identity.headers);
    for (name, value) in &head.headers {
        let replaced = match *name {
            // Answered here: the body is asked for when the upstream wants it.
            header::EXPECT | header::HOST => true,
            _ => fields::is_replaced(name.as_str(), ends) || told.iter().any(|(own, _)| own == name),
        };
        if !replaced {
            field(name, value);
        }
    }
    fields::forwarded(&head.headers, ends, head.scheme, head.authority.header(), |name, value| field(&name, value));
    field(&header::VIA, &fields::via_of(head.version));
    field(&fields::X_REQUEST_ID, &head.id);
    told.iter().for_each(|(name, value)| field(name, value));
}

fn host<'a>(errand: &Errand<'_>, request: &'a RequestHead, endpoint: &'a Endpoint) -> &'a HeaderValue {
    match &request.host_override {
        Some(host) => host,
        None if errand.preserve_host => request.authority.header(),
        None => &endpoint.authority,
    }
}

fn absolute(target: PathAndQuery, host: &HeaderValue, endpoint: &Endpoint) -> Result<Uri, ErrorKind> {
    let authority = [host, &endpoint.authority].into_iter().find_map(|host| {
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

const INVALID: ErrorKind = ErrorKind::BadRequest("the request target is not valid");
/// Fields that are usually added: Host, where the request came from, who calls.
const ADDED: usize = 10;
/// Bytes of a head: a guess.
const USUAL_HEAD: usize = 512;
