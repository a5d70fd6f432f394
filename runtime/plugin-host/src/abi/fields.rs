//! Header fields: resolved names and the rules of editing, the same for requests and responses.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::exchange::EarlyEdit;
use crate::guest::Guest;
use crate::value::Value;

/// A header name that a guest resolved, with what it may do to it.
#[derive(Clone, Debug)]
pub(crate) struct FieldName {
    pub(crate) name: HeaderName,
    /// Belongs to the gateway in requests.
    pub(crate) reserved_in_request: bool,
    /// Belongs to the gateway in responses.
    pub(crate) reserved_in_response: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Edit {
    #[component(name = "done")]
    Done,
    #[component(name = "invalid")]
    Invalid,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "too-late")]
    TooLate,
    #[component(name = "reserved")]
    Reserved,
}

impl FieldName {
    /// `None` when it is not a field name.
    pub(crate) fn parse(name: &str) -> Option<FieldName> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let framing = FRAMING.contains(&name);
        let consumer = CONSUMER.contains(&name.as_str());
        Some(FieldName { reserved_in_request: framing || consumer, reserved_in_response: framing, name })
    }
}

/// Checks a value from a guest.
pub(crate) fn checked(value: Option<HeaderValue>) -> Result<HeaderValue, Edit> {
    match value {
        Some(value) if value.len() > FIELD_BYTES => Err(Edit::TooLarge),
        Some(value) => Ok(value),
        None => Err(Edit::Invalid),
    }
}

pub(crate) fn from_slice(bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(bytes).ok()
}

pub(crate) fn from_number(number: i64) -> Option<HeaderValue> {
    let mut text = itoa::Buffer::new();
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text.format(number).as_bytes())).ok()
}

pub(crate) fn set(map: &mut HeaderMap, name: &HeaderName, value: HeaderValue) -> Edit {
    if map.len() >= FIELDS && !map.contains_key(name) {
        return Edit::TooLarge;
    }
    map.insert(name.clone(), value);
    Edit::Done
}

pub(crate) fn append(map: &mut HeaderMap, name: &HeaderName, value: HeaderValue) -> Edit {
    if map.len() >= FIELDS {
        return Edit::TooLarge;
    }
    map.append(name.clone(), value);
    Edit::Done
}

/// All fields with names of their own, for a guest that wants to see everything.
pub(crate) fn all(map: &HeaderMap) -> Vec<(String, HeaderValue)> {
    map.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect()
}

/// Handles for what [`all`] found.
pub(crate) fn handles(guest: &mut Guest, all: Vec<(String, HeaderValue)>) -> wasmtime::Result<Vec<(String, u32)>> {
    all.into_iter().map(|(name, value)| Ok((name, guest.hand_out(Value::Header(value))?))).collect()
}

/// First value that the edits so far would leave for `name`.
pub(crate) fn early_value<'a>(edits: &'a [EarlyEdit], wanted: &HeaderName) -> Option<&'a HeaderValue> {
    let mut found = None;
    for edit in edits {
        match edit {
            EarlyEdit::Set(name, value) if name == wanted => found = Some(value),
            EarlyEdit::Append(name, value) if name == wanted => found = found.or(Some(value)),
            EarlyEdit::Remove(name) if name == wanted => found = None,
            _ => {}
        }
    }
    found
}

pub(crate) fn add_early(edits: &mut smallvec::SmallVec<[EarlyEdit; 6]>, edit: EarlyEdit) -> Edit {
    if edits.len() >= FIELDS {
        return Edit::TooLarge;
    }
    edits.push(edit);
    Edit::Done
}

/// Fields of a message, and bytes of one value, that guests may bring it to.
const FIELDS: usize = 256;
const FIELD_BYTES: usize = 16 << 10;

/// Fields that frame the message or the connection.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Fields by which the gateway tells the upstream who calls.
pub(crate) const CONSUMER: [&str; 6] = [
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-anonymous-consumer",
];
