use bytes::Bytes;
use http::HeaderValue;
use http::uri::PathAndQuery;
use std::sync::Arc;

/// Bytes behind a guest's handle. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Header(HeaderValue),
    Bytes(Bytes),
    Text(Arc<str>),
    Static(&'static str),
    Path(PathAndQuery),
    Query(PathAndQuery),
}

impl Value {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Value::Header(value) => value.as_bytes(),
            Value::Bytes(bytes) => bytes,
            Value::Text(text) => text.as_bytes(),
            Value::Static(text) => text.as_bytes(),
            Value::Path(target) => target.path().as_bytes(),
            Value::Query(target) => target.query().unwrap_or_default().as_bytes(),
        }
    }

    /// As bytes of its own, shared where they can be.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Value::Bytes(bytes) => bytes.clone(),
            Value::Static(text) => Bytes::from_static(text.as_bytes()),
            other => Bytes::copy_from_slice(other.as_bytes()),
        }
    }

    /// As a field value; the bytes are shared where they can be.
    pub(crate) fn to_header(&self) -> Option<HeaderValue> {
        match self {
            Value::Header(value) => Some(value.clone()),
            Value::Bytes(bytes) => HeaderValue::from_maybe_shared(bytes.clone()).ok(),
            other => HeaderValue::from_bytes(other.as_bytes()).ok(),
        }
    }
}
