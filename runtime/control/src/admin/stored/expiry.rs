use serde_json::Value;
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Place};
use tollgate_model::problem::{Complaint, Problem};

use super::access::now;
use crate::Timestamp;

/// When a key or token ends, in milliseconds since 1970: written as RFC 3339, or in seconds since 1970.
pub(super) struct Expiry(pub(super) i64);

impl Decode for Expiry {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Expiry> {
        let milliseconds = match value {
            Value::Number(seconds) => {
                seconds.as_i64().filter(|seconds| (0..LATEST).contains(seconds)).map(|seconds| seconds * 1000)
            }
            Value::String(text) => Timestamp::parse(text).and_then(Timestamp::milliseconds),
            _ => None,
        };
        let complaint = match milliseconds {
            Some(at) if at > now() => return Some(Expiry(at)),
            Some(_) => Complaint::from("is in the past"),
            None => Complaint::new("not a moment", "as in \"2031-01-31T23:59:59Z\", or seconds since 1970"),
        };
        problems.add(Problem::new(place, complaint));
        None
    }
}

/// The end of the year 9999, in seconds.
const LATEST: i64 = 253_402_300_800;
