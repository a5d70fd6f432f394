//! What a request sends.

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::{Map, Value};
use tollgate_model::decode::kind;

use super::form;
use crate::refusal::Refusal;

/// In bytes.
pub(super) const LARGEST: usize = 32 << 20;
pub(super) const WASM: &str = "application/wasm";

/// What a body may be written in, besides JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Also {
    /// `application/x-www-form-urlencoded`, as curl's `-d` sends it.
    Form,
    /// `application/toml`, as the file is written.
    Toml,
    /// `application/merge-patch+json`, and forms.
    Patch,
    /// `application/wasm`, and no JSON.
    Wasm,
}

/// A table. No body at all is an empty one.
pub(super) async fn table(headers: &HeaderMap, body: Body, also: Also) -> Result<Map<String, Value>, Refusal> {
    let bytes = bytes(headers, body).await?;
    let written = written(headers, also, bytes.is_empty())?;
    match parse(&bytes, written)? {
        Value::Object(table) => Ok(table),
        other => Err(Refusal::BadRequest(format!("the body is to be a table, and is {}", kind(&other)))),
    }
}

/// The bytes of a module: `application/wasm`.
pub(super) async fn module(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Refusal> {
    let stated = headers.get(CONTENT_TYPE).and_then(|stated| stated.to_str().ok()).unwrap_or_default();
    if !stated.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(WASM) {
        return Err(Refusal::UnsupportedType(WASM));
    }
    bytes(headers, body).await
}

async fn bytes(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Refusal> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| length > LARGEST as u64) {
        return Err(Refusal::TooLarge(LARGEST));
    }
    to_bytes(body, LARGEST).await.map_err(|error| {
        let is_too_large =
            std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        match is_too_large {
            true => Refusal::TooLarge(LARGEST),
            false => Refusal::BadRequest("the body broke off".to_owned()),
        }
    })
}

enum Written {
    Json,
    Form,
    Toml,
}

fn written(headers: &HeaderMap, also: Also, is_empty: bool) -> Result<Written, Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let stated = match (types.next(), types.next()) {
        (None, _) if is_empty => return Ok(Written::Json),
        (Some(stated), None) => stated.to_str().unwrap_or_default(),
        _ => "",
    };
    let essence = stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (essence.as_str(), also) {
        ("application/json", _) | ("application/merge-patch+json", Also::Patch) => Ok(Written::Json),
        ("application/x-www-form-urlencoded", Also::Form | Also::Patch) => Ok(Written::Form),
        ("application/toml", Also::Toml) => Ok(Written::Toml),
        (_, also) => Err(Refusal::UnsupportedType(match also {
            Also::Form => "application/json, application/x-www-form-urlencoded",
            Also::Toml => "application/json, application/toml",
            Also::Wasm => WASM,
            Also::Patch => "application/json, application/merge-patch+json, application/x-www-form-urlencoded",
        })),
    }
}

/// No message shows what was sent: it may be a secret.
fn parse(bytes: &[u8], written: Written) -> Result<Value, Refusal> {
    let refused = |problem: String| Refusal::BadRequest(problem);
    match written {
        _ if bytes.is_empty() => Ok(Value::Object(Map::new())),
        Written::Json => serde_json::from_slice(bytes)
            .map_err(|error| refused(format!("the body is no JSON: line {}, column {}", error.line(), error.column()))),
        Written::Form => form::parse(bytes).map_err(refused),
        Written::Toml => {
            let text = std::str::from_utf8(bytes).map_err(|_| refused("the body is no UTF-8".to_owned()))?;
            toml::from_str(text).map_err(|error| refused(format!("the body is no TOML: {}", error.message())))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    async fn read(content_type: &'static str, body: &'static str, also: Also) -> Result<Value, u16> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let read = table(&headers, Body::from(body), also).await;
        read.map(Value::Object).map_err(|refusal| match refusal {
            Refusal::BadRequest(_) => 400,
            Refusal::UnsupportedType(_) => 415,
            other => panic!("{other}"),
        })
    }

    #[tokio::test]
    async fn a_body_is_read_as_its_type_says() {
        assert_eq!(read("application/json; charset=utf-8", r#"{"a":1}"#, Also::Form).await, Ok(json!({ "a": 1 })));
        assert_eq!(
            read("application/x-www-form-urlencoded", "a.b=1", Also::Form).await,
            Ok(json!({ "a": { "b": 1 } }))
        );
        assert_eq!(read("application/toml", "[a]\nb = 1", Also::Toml).await, Ok(json!({ "a": { "b": 1 } })));
        assert_eq!(read("", "", Also::Form).await, Ok(json!({})));
        assert_eq!(read("application/json", "{", Also::Form).await, Err(400));
        assert_eq!(read("application/json", "[]", Also::Form).await, Err(400));
        assert_eq!(read("application/toml", "a = ", Also::Toml).await, Err(400));
        for (content_type, also) in [
            ("", Also::Form),
            ("text/plain", Also::Form),
            ("application/toml", Also::Form),
            ("multipart/form-data", Also::Patch),
        ] {
            assert_eq!(read(content_type, "{}", also).await, Err(415), "{content_type}");
        }
    }

    #[tokio::test]
    async fn a_body_has_its_bound_whether_it_says_so_or_not() {
        let chunk = axum::body::Bytes::from(vec![b' '; 1 << 20]);
        let chunks = futures_util::stream::iter((0..33).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
        let json = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let read = table(&json, Body::from_stream(chunks), Also::Form).await;
        assert!(matches!(read, Err(Refusal::TooLarge(LARGEST))));
        let mut stated = json;
        stated.insert(CONTENT_LENGTH, HeaderValue::from_static("33554433"));
        assert!(matches!(table(&stated, Body::empty(), Also::Form).await, Err(Refusal::TooLarge(_))));
    }
}
