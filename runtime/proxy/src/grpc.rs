//! How the gateway says no to a gRPC client: with status 200 and a gRPC status, in a response that
//! is all trailers ("gRPC over HTTP/2", Responses).

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// A request of gRPC or of one of its kin (`application/grpc+proto`, `application/grpc-web`).
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..KIND.len()).is_some_and(|start| start.eq_ignore_ascii_case(KIND.as_bytes()))
}

/// The fields of a refusal.
pub(crate) fn refusal(status: StatusCode, message: &str, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    let kind = request.get(header::CONTENT_TYPE).cloned();
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static(KIND)));
    headers.insert(STATUS, code(status).into());
    if let Ok(message) = HeaderValue::try_from(escaped(message)) {
        headers.insert(MESSAGE, message);
    }
    headers
}

/// As gRPC's own table has it ("HTTP to gRPC Status Code Mapping"), but for what the gateway knows
/// better: limits are not outages, and a deadline is one.
fn code(status: StatusCode) -> u16 {
    match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => 4,
        StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        | StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => 13,
        _ => 2,
    }
}

/// Percent-encoded but for printable ASCII.
fn escaped(message: &str) -> String {
    message.bytes().fold(String::with_capacity(message.len()), |mut text, byte| {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => write!(text, "%{byte:02X}").expect("a string takes everything"),
            plain => text.push(plain.into()),
        }
        text
    })
}

const KIND: &str = "application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))])
    }

    #[test]
    fn only_grpc_is_answered_as_such() {
        for kind in ["application/grpc", "application/grpc+proto", "Application/gRPC-Web+proto"] {
            assert!(is_asked_for(&headers(kind)), "{kind}");
        }
        for kind in ["application/json", "application/grp", "text/plain; application/grpc"] {
            assert!(!is_asked_for(&headers(kind)), "{kind}");
        }
        assert!(!is_asked_for(&HeaderMap::new()));
    }

    #[test]
    fn a_refusal_has_a_code_and_an_escaped_message() {
        let refusal = refusal(StatusCode::TOO_MANY_REQUESTS, "100% é", &headers("application/grpc+proto"));
        assert_eq!(refusal["grpc-status"], "8");
        assert_eq!(refusal["grpc-message"], "100%25 %C3%A9");
        assert_eq!(refusal["content-type"], "application/grpc+proto");
    }
}
