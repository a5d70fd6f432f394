use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Bytes;
use serde_json::Value;

use super::Failure;
use crate::cmd::Outcome;

/// What a node said.
pub struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub(super) fn new(response: Response<Bytes>) -> Answer {
        let (head, body) = response.into_parts();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Failure::refused("the answer is no JSON")
                .with_hint("is this URL that of an admin API, and of this version?")
        })
    }

    /// Null where there is none.
    pub fn json_if_any(&self) -> Result<Value, Failure> {
        if self.body.is_empty() { Ok(Value::Null) } else { self.json() }
    }

    pub fn is_toml(&self) -> bool {
        self.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/toml"))
    }

    pub fn revision(&self) -> Option<u64> {
        self.headers.get("x-tollgate-revision")?.to_str().ok()?.parse().ok()
    }

    /// A write that not all nodes serve by in time is not all that was asked for.
    pub fn outcome(&self) -> Outcome {
        let is_behind = self.status == StatusCode::ACCEPTED || self.headers.get("x-tollgate-applied").is_some();
        if is_behind { Outcome::NotSo } else { Outcome::Done }
    }
}
