//! The one place where errors, and answers that plugins prepared, become responses.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tollgate_plugin_host::{Exchange, Origin, PreparedAnswer, RequestHead};

use crate::body::ResponseBody;
use crate::error::ErrorKind;
use crate::record::Record;
use crate::{fields, grpc};

/// A response that did not come from an upstream: its head goes through the response hooks.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) origin: Origin,
}

/// An error, in the form the client accepts.
pub(crate) fn error(kind: ErrorKind, request: &RequestHead) -> Answer {
    let mut answer = refusal(kind.status(), kind.message(), request, Origin::Gateway);
    if let Some(seconds) = kind.retry_after() {
        answer.headers.insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// The answer that a plugin prepared.
pub(crate) fn prepared(exchange: &mut Exchange) -> Answer {
    match exchange.response.answer.take() {
        Some(PreparedAnswer::Refusal(status, message)) => refusal(status, &message, &exchange.request, Origin::Plugin),
        Some(PreparedAnswer::Body(status, body)) => {
            Answer { status, headers: HeaderMap::new(), body, origin: Origin::Plugin }
        }
        None => error(ErrorKind::PluginFailed, &exchange.request),
    }
}

/// `OPTIONS *` asks about the gateway, not about a resource (RFC 9110, 9.3.7).
pub(crate) fn options() -> Answer {
    Answer { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Bytes::new(), origin: Origin::Gateway }
}

/// What a response needs to know of its request.
pub(crate) struct Asker {
    id: HeaderValue,
    wants_head_only: bool,
}

impl Asker {
    pub(crate) fn of(request: &RequestHead) -> Asker {
        Asker { id: request.id.clone(), wants_head_only: request.method == Method::HEAD }
    }
}

/// Makes the response of an answer.
pub(crate) fn send(answer: Answer, asker: Asker, mut record: Box<Record>) -> Response<ResponseBody> {
    let Answer { status, mut headers, body, .. } = answer;
    headers.insert(fields::X_REQUEST_ID, asker.id);
    record.answered(status);
    if record.is_last() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless {
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    let body = match bodiless || asker.wants_head_only {
        true => ResponseBody::empty(record),
        false => ResponseBody::whole(body, record),
    };
    assembled(status, headers, body)
}

pub(crate) fn assembled(status: StatusCode, headers: HeaderMap, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn refusal(status: StatusCode, message: &str, request: &RequestHead, origin: Origin) -> Answer {
    if grpc::is_asked_for(&request.headers) {
        let headers = grpc::refusal(status, message, &request.headers);
        return Answer { status: StatusCode::OK, headers, body: Bytes::new(), origin };
    }
    let id = request.id.to_str().unwrap_or_default();
    let (content_type, body) = if wants_text(&request.headers) {
        ("text/plain; charset=utf-8", format!("{message}\nrequest id: {id}\n"))
    } else {
        ("application/json", serde_json::json!({ "message": message, "request_id": id }).to_string())
    };
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Answer { status, headers, body: body.into(), origin }
}

/// JSON, unless the client prefers plain text (RFC 9110, 12.5.1).
fn wants_text(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut quality = (0, 0);
    for range in accepts.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        let weight = (weight * 1000.0) as u32;
        match kind {
            "text/plain" | "text/*" => quality.0 = quality.0.max(weight),
            "application/json" | "application/*" | "*/*" => quality.1 = quality.1.max(weight),
            _ => {}
        }
    }
    quality.0 > quality.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_default_and_text_on_request() {
        let accept = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            wants_text(&headers)
        };
        assert!(!wants_text(&HeaderMap::new()));
        assert!(accept("text/plain"));
        assert!(!accept("*/*"));
        assert!(!accept("text/plain;q=0.5, application/json"));
        assert!(accept("text/plain, */*;q=0.1"));
        assert!(!accept("text/html,application/xhtml+xml,*/*;q=0.8"));
    }
}
