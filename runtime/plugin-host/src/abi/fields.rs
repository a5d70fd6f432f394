//! Header fields: resolved names and the rules of editing, the same for requests and responses.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

use super::reply::Numbers;
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

/// What became of an edit, in the WIT's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Done,
    Invalid,
    TooLarge,
    TooLate,
    Reserved,
}

impl Edit {
    pub(crate) fn number(self) -> u32 {
        self as u32
    }
}

impl FieldName {
    /// `None` when it is not a field name.
    pub(crate) fn parse(name: &str) -> Option<FieldName> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let framing = FRAMING.contains(&name);
        let consumer = CONSUMER_FIELDS.contains(&name.as_str());
        Some(FieldName { reserved_in_request: framing || consumer, reserved_in_response: framing, name })
    }
}

pub(crate) fn from_slice(bytes: &[u8]) -> Result<HeaderValue, Edit> {
    if bytes.len() > FIELD_BYTES {
        return Err(Edit::TooLarge);
    }
    HeaderValue::from_bytes(bytes).map_err(|_| Edit::Invalid)
}

pub(crate) fn from_value(value: Option<&Value>) -> Result<HeaderValue, Edit> {
    match value.and_then(Value::to_header) {
        Some(value) if value.len() > FIELD_BYTES => Err(Edit::TooLarge),
        Some(value) => Ok(value),
        None => Err(Edit::Invalid),
    }
}

pub(crate) fn from_number(number: i64) -> Result<HeaderValue, Edit> {
    let mut text = itoa::Buffer::new();
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text.format(number).as_bytes())).map_err(|_| Edit::Invalid)
}

pub(crate) fn set(map: &mut HeaderMap, name: &HeaderName, value: HeaderValue) -> Edit {
    let crowded = map.len() >= FIELDS && !map.contains_key(name);
    if crowded || bytes_but(map, Some(name)) + name.as_str().len() + value.len() > MESSAGE_BYTES {
        return Edit::TooLarge;
    }
    map.insert(name.clone(), value);
    Edit::Done
}

pub(crate) fn append(map: &mut HeaderMap, name: &HeaderName, value: HeaderValue) -> Edit {
    if map.len() >= FIELDS || bytes_but(map, None) + name.as_str().len() + value.len() > MESSAGE_BYTES {
        return Edit::TooLarge;
    }
    map.append(name.clone(), value);
    Edit::Done
}

/// Bytes of all names and values, but those of one field.
fn bytes_but(map: &HeaderMap, but: Option<&HeaderName>) -> usize {
    map.iter().filter(|(name, _)| Some(*name) != but).map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// All fields, for a guest that wants to see everything.
pub(crate) fn all(map: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Names and handles for what [`all`] found.
pub(crate) fn handles(
    guest: &mut Guest,
    all: Vec<(HeaderName, HeaderValue)>,
) -> wasmtime::Result<Vec<(HeaderName, u32)>> {
    all.into_iter().map(|(name, value)| Ok((name, guest.hand_out(Value::Header(value))?))).collect()
}

/// Of one field: one, as a rule.
pub(crate) type Values = SmallVec<[HeaderValue; 2]>;

pub(crate) fn value_handles(guest: &mut Guest, values: Values) -> wasmtime::Result<Numbers> {
    values.into_iter().map(|value| guest.hand_out(Value::Header(value))).collect()
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

pub(crate) fn add_early(edits: &mut SmallVec<[EarlyEdit; 6]>, edit: EarlyEdit) -> Edit {
    let bytes: usize = edits.iter().chain([&edit]).map(EarlyEdit::bytes).sum();
    if edits.len() >= FIELDS || bytes > MESSAGE_BYTES {
        return Edit::TooLarge;
    }
    edits.push(edit);
    Edit::Done
}

/// Fields of a message, and bytes of one value, that guests may bring it to.
const FIELDS: usize = 256;
const FIELD_BYTES: usize = 16 << 10;
/// Bytes of all names and values of a message that guests may bring it to.
const MESSAGE_BYTES: usize = 256 << 10;

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
pub const CONSUMER_FIELDS: [&str; 6] = [
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-anonymous-consumer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_so_many_bytes_of_fields_and_replacing_one_makes_room() {
        let mut map = HeaderMap::new();
        let mut early = SmallVec::new();
        let names: Vec<_> = (0..32).map(|i| HeaderName::try_from(format!("x-{i}")).unwrap()).collect();
        let big = HeaderValue::from_bytes(&[b'x'; FIELD_BYTES]).unwrap();
        let set: Vec<_> = names.iter().map(|name| set(&mut map, name, big.clone())).collect();
        let kept: Vec<_> =
            names.iter().map(|name| add_early(&mut early, EarlyEdit::Set(name.clone(), big.clone()))).collect();
        assert_eq!(set, kept);
        assert_eq!(set.iter().filter(|&&edit| edit == Edit::Done).count(), MESSAGE_BYTES / FIELD_BYTES - 1);
        assert_eq!(super::set(&mut map, &names[0], big.clone()), Edit::Done, "the same field, as large as before");
        assert_eq!(append(&mut map, &names[0], big), Edit::TooLarge);
    }
}
