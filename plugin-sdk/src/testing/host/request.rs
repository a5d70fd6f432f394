use super::super::message::Fields;
use super::super::state::{Change, Current, State, with};
use super::names;
use crate::query;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    Id,
    Method,
    Scheme,
    Host,
    Path,
    Query,
    ClientAddress,
    PeerAddress,
    Route,
    Service,
    ConsumerId,
    ConsumerName,
    ConsumerCustomId,
    CredentialId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    Done,
    Invalid,
    TooLarge,
    TooLate,
    Reserved,
}

pub fn get(which: Property) -> u32 {
    with(|state| {
        let consumer = state.current().consumer.map(|place| state.consumers[place].name.clone());
        let request = &state.current().request;
        let found = match which {
            Property::Id => Some("request-1".to_owned()),
            Property::Method => Some(request.method.clone()),
            Property::Scheme => Some(request.scheme.clone()),
            Property::Host => Some(request.host.clone()),
            Property::Path => Some(request.path.clone()),
            Property::Query => request.query.clone(),
            Property::ClientAddress | Property::PeerAddress => Some(request.client_address.clone()),
            Property::Route => Some(request.route.clone()),
            Property::Service => Some(request.service.clone()),
            Property::ConsumerId => consumer.map(|name| format!("id-of-{name}")),
            Property::ConsumerName => consumer,
            Property::ConsumerCustomId => None,
            Property::CredentialId => consumer.map(|name| format!("credential-of-{name}")),
        };
        state.make_optional(found)
    })
}

pub fn header(name: u32) -> u32 {
    with(|state| {
        let found = state.current().request.headers.values(&names::of(name)).next().cloned();
        state.make_optional(found)
    })
}

pub fn header_values(name: u32) -> Vec<u32> {
    with(|state| {
        let found: Vec<_> = state.current().request.headers.values(&names::of(name)).cloned().collect();
        found.into_iter().map(|value| state.make(value)).collect()
    })
}

pub fn headers() -> Vec<(String, u32)> {
    with(|state| {
        let Fields(fields) = state.current().request.headers.clone();
        fields.into_iter().map(|(name, value)| (name, state.make(value))).collect()
    })
}

pub fn set_header(name: u32, value: u32) -> Edit {
    with(|state| {
        let value = state.read(value).to_vec();
        change(state, Change::Set(names::of(name), value))
    })
}

pub fn set_header_bytes(name: u32, bytes: &[u8]) -> Edit {
    with(|state| change(state, Change::Set(names::of(name), bytes.to_vec())))
}

pub fn set_header_number(name: u32, number: i64) -> Edit {
    set_header_bytes(name, number.to_string().as_bytes())
}

pub fn append_header(name: u32, value: u32) -> Edit {
    with(|state| {
        let value = state.read(value).to_vec();
        change(state, Change::Append(names::of(name), value))
    })
}

pub fn remove_header(name: u32) -> Edit {
    with(|state| change(state, Change::Remove(names::of(name))))
}

pub fn query_parameter(name: &str) -> u32 {
    with(|state| {
        let query = state.current().request.query.clone().unwrap_or_default();
        let found = query::pairs(query.as_bytes()).find(|(found, _)| found.as_ref() == name.as_bytes());
        state.make_optional(found.map(|(_, value)| value.into_owned()))
    })
}

pub fn remove_query_parameter(name: &str) -> Edit {
    edit(|request| {
        let query = request.query.take().unwrap_or_default();
        let named = |piece: &&str| query::pairs(piece.as_bytes()).any(|(found, _)| found.as_ref() == name.as_bytes());
        let kept: Vec<_> = query.split('&').filter(|piece| !named(piece)).collect();
        request.query = Some(kept.join("&")).filter(|query| !query.is_empty());
        Edit::Done
    })
}

pub fn set_method(method: u32) -> Edit {
    text(method, |request, method| request.method = method)
}

pub fn set_path(path: u32) -> Edit {
    text(path, |request, path| request.path = path)
}

pub fn set_query(query: u32) -> Edit {
    text(query, |request, text| request.query = Some(text).filter(|_| query != 0))
}

fn text(value: u32, set: impl FnOnce(&mut super::super::TestRequest, String)) -> Edit {
    let text = with(|state| String::from_utf8(state.read(value).to_vec()));
    match text {
        Ok(text) if !text.bytes().any(|byte| byte <= b' ') => edit(|request| {
            set(request, text);
            Edit::Done
        }),
        _ => Edit::Invalid,
    }
}

fn edit(edit: impl FnOnce(&mut super::super::TestRequest) -> Edit) -> Edit {
    with(|state| {
        let Current { request, request_sent, .. } = state.current();
        if *request_sent { Edit::TooLate } else { edit(request) }
    })
}

fn change(state: &mut State, change: Change) -> Edit {
    let Current { request, request_sent, .. } = state.current();
    if *request_sent {
        return Edit::TooLate;
    }
    if change.name().starts_with("x-consumer-") {
        return Edit::Reserved;
    }
    let checked = check(&change);
    if checked == Edit::Done {
        change.apply(&mut request.headers);
    }
    checked
}

/// What the gateway refuses of any message.
pub(super) fn check(change: &Change) -> Edit {
    const FRAMING: [&str; 8] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if FRAMING.contains(&change.name()) {
        return Edit::Reserved;
    }
    match change {
        Change::Set(_, value) | Change::Append(_, value) if value.len() > 64 * 1024 => Edit::TooLarge,
        Change::Set(_, value) | Change::Append(_, value) if value.iter().any(control) => Edit::Invalid,
        _ => Edit::Done,
    }
}

fn control(byte: &u8) -> bool {
    (*byte < b' ' && *byte != b'\t') || *byte == 0x7f
}
