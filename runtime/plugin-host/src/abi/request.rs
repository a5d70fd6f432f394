use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, header};
use wasmtime::Caller;

use super::fields::{self, Edit};
use super::{Interface, Reply, memory};
use crate::exchange::{Exchange, RequestHead, address_text};
use crate::guest::Guest;
use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
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

pub(super) fn add(request: &mut Interface<'_>) -> wasmtime::Result<()> {
    request.function("get", get)?;
    request.function("header", header)?;
    request.function("header-values", header_values)?;
    request.function("headers", headers)?;
    request.function("query-parameter", query_parameter)?;

    request.function("set-header", |mut caller: Caller<'_, Guest>, name: u32, value: u32| {
        let guest = caller.data_mut();
        let value = fields::from_value(guest.value(value)?);
        edit_field(guest, name, FieldEdit::Set(value))
    })?;
    request.function("set-header-bytes", |mut caller: Caller<'_, Guest>, name: u32, start: u32, length: u32| {
        let (memory, guest) = memory::of(&mut caller)?;
        let value = fields::from_slice(memory::bytes(memory, start, length)?);
        edit_field(guest, name, FieldEdit::Set(value))
    })?;
    request.function("set-header-number", |mut caller: Caller<'_, Guest>, name: u32, number: i64| {
        edit_field(caller.data_mut(), name, FieldEdit::Set(fields::from_number(number)))
    })?;
    request.function("append-header", |mut caller: Caller<'_, Guest>, name: u32, value: u32| {
        let guest = caller.data_mut();
        let value = fields::from_value(guest.value(value)?);
        edit_field(guest, name, FieldEdit::Append(value))
    })?;
    request.function("remove-header", |mut caller: Caller<'_, Guest>, name: u32| {
        edit_field(caller.data_mut(), name, FieldEdit::Remove)
    })?;

    request.function("remove-query-parameter", |mut caller: Caller<'_, Guest>, start: u32, length: u32| {
        let (memory, guest) = memory::of(&mut caller)?;
        // None is longer than the whole target may be.
        let name = memory::text(memory, start, length, TARGET_BYTES)?;
        name.map_or(Ok(Edit::Done), |name| remove_query_parameter(guest, name)).map(Edit::number)
    })?;
    request.function("set-method", |mut caller: Caller<'_, Guest>, method: u32| {
        set_method(caller.data_mut(), method).map(Edit::number)
    })?;
    request.function("set-path", |mut caller: Caller<'_, Guest>, path: u32| {
        set_path(caller.data_mut(), path).map(Edit::number)
    })?;
    request.function("set-query", |mut caller: Caller<'_, Guest>, query: u32| {
        set_query(caller.data_mut(), query).map(Edit::number)
    })
}

fn get(mut caller: Caller<'_, Guest>, which: u32) -> wasmtime::Result<u32> {
    let guest = caller.data_mut();
    let value = property(guest.exchange()?, memory::case(&PROPERTIES, which)?);
    if let Some(Value::Bytes(made)) = &value {
        guest.charge(made.len())?;
    }
    guest.hand_out_some(value)
}

fn header(mut caller: Caller<'_, Guest>, name: u32) -> wasmtime::Result<u32> {
    let guest = caller.data_mut();
    let name = &guest.header_name(name)?.name;
    let value = guest.exchange.as_ref().and_then(|exchange| exchange.request.headers.get(name)).cloned();
    guest.exchange()?;
    guest.hand_out_some(value.map(Value::Header))
}

fn header_values(mut caller: Caller<'_, Guest>, name: u32, result: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    let name = guest.header_name(name)?.name.clone();
    let values: fields::Values = guest.exchange()?.request.headers.get_all(name).iter().cloned().collect();
    let numbers = fields::value_handles(guest, values)?;
    guest.reply(memory, Reply::Numbers { numbers, at: result })
}

fn headers(mut caller: Caller<'_, Guest>, result: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    let all = fields::all(&guest.exchange()?.request.headers);
    let handles = fields::handles(guest, all)?;
    guest.reply(memory, Reply::fields(handles, result))
}

fn query_parameter(mut caller: Caller<'_, Guest>, start: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, guest) = memory::of(&mut caller)?;
    let Some(name) = memory::text(memory, start, length, TARGET_BYTES)? else { return Ok(0) };
    let query = guest.exchange()?.request.uri.query().unwrap_or_default();
    let value = form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| *key == name)
        .map(|(_, value)| Value::Bytes(Bytes::from(value.into_owned())));
    // What somebody reads who may look up credentials may be one.
    if value.is_some() && guest.plugin()?.grants().credentials {
        guest.exchange()?.mask(name);
    }
    value.map_or(Ok(0), |value| guest.hand_out_made(value))
}

fn remove_query_parameter(guest: &mut Guest, name: &str) -> wasmtime::Result<Edit> {
    // What the upstream is not to see is not for the log either.
    guest.exchange()?.mask(name);
    let Some(request) = editable(guest)? else { return Ok(Edit::TooLate) };
    let Some(target) = request.upstream_target() else { return Ok(Edit::Done) };
    let kept = target.query().map(|query| without_parameter(query, name)).filter(|query| !query.is_empty());
    let path = target.path().to_owned();
    Ok(retarget(request, &path, kept.as_deref()))
}

fn set_method(guest: &mut Guest, method: u32) -> wasmtime::Result<Edit> {
    let method = Method::from_bytes(guest.bytes(method)?);
    let Some(request) = editable(guest)? else { return Ok(Edit::TooLate) };
    match method {
        // A CONNECT would turn the connection into a tunnel.
        Ok(method) if method != Method::CONNECT => request.method = method,
        _ => return Ok(Edit::Invalid),
    }
    Ok(Edit::Done)
}

fn set_path(guest: &mut Guest, path: u32) -> wasmtime::Result<Edit> {
    let path = guest.value(path)?.map(Value::to_bytes).unwrap_or_default();
    let Some(request) = editable(guest)? else { return Ok(Edit::TooLate) };
    let Some(path) = std::str::from_utf8(&path).ok().filter(|path| valid_path(path)) else {
        return Ok(Edit::Invalid);
    };
    let query = request.upstream_target().and_then(PathAndQuery::query).map(str::to_owned);
    Ok(retarget(request, path, query.as_deref()))
}

fn set_query(guest: &mut Guest, query: u32) -> wasmtime::Result<Edit> {
    let query = guest.value(query)?.map(Value::to_bytes);
    let Some(request) = editable(guest)? else { return Ok(Edit::TooLate) };
    let Ok(query) = query.as_deref().map(std::str::from_utf8).transpose() else { return Ok(Edit::Invalid) };
    let path = request.upstream_target().map_or("/", PathAndQuery::path).to_owned();
    Ok(retarget(request, &path, query))
}

fn property(exchange: &Exchange, which: Property) -> Option<Value> {
    let request = &exchange.request;
    let identity = exchange.identity.as_deref();
    match which {
        Property::Id => Some(Value::Header(request.id.clone())),
        Property::Method => Some(Value::Bytes(Bytes::copy_from_slice(request.method.as_str().as_bytes()))),
        Property::Scheme => Some(Value::Static(request.scheme)),
        Property::Host => Some(Value::Header(request.authority.header().clone())),
        Property::Path => request.uri.path_and_query().cloned().map(Value::Path),
        Property::Query => {
            request.uri.path_and_query().filter(|target| target.query().is_some()).cloned().map(Value::Query)
        }
        Property::ClientAddress => Some(Value::Bytes(request.client_text().into())),
        Property::PeerAddress => Some(Value::Bytes(address_text(request.peer.ip()).into())),
        Property::Route => Some(Value::Text(request.route.clone())),
        Property::Service => Some(Value::Text(request.service.clone())),
        Property::ConsumerId => identity.map(|who| Value::Text(who.consumer_id.clone())),
        Property::ConsumerName => identity.map(|who| Value::Text(who.consumer_name.clone())),
        Property::ConsumerCustomId => identity.and_then(|who| who.custom_id.clone()).map(Value::Text),
        Property::CredentialId => identity.and_then(|who| who.credential_id.clone()).map(Value::Text),
    }
}

enum FieldEdit {
    Set(Result<HeaderValue, Edit>),
    Append(Result<HeaderValue, Edit>),
    Remove,
}

fn edit_field(guest: &mut Guest, name: u32, edit: FieldEdit) -> wasmtime::Result<u32> {
    let field = guest.header_name(name)?.clone();
    let Some(request) = editable(guest)? else { return Ok(Edit::TooLate.number()) };
    if field.reserved_in_request {
        return Ok(Edit::Reserved.number());
    }
    let name = &field.name;
    let bytes = match &edit {
        FieldEdit::Set(Ok(value)) | FieldEdit::Append(Ok(value)) => value.len(),
        _ => 0,
    };
    let done = match edit {
        FieldEdit::Remove => {
            request.headers.remove(name);
            Edit::Done
        }
        FieldEdit::Set(value) => match value {
            // What the upstream is asked for is decided when the request is forwarded.
            Ok(value) if *name == header::HOST => {
                request.host_override = Some(value);
                Edit::Done
            }
            Ok(value) => fields::set(&mut request.headers, name, value),
            Err(refusal) => refusal,
        },
        FieldEdit::Append(_) if *name == header::HOST => Edit::Invalid,
        FieldEdit::Append(value) => match value {
            Ok(value) => fields::append(&mut request.headers, name, value),
            Err(refusal) => refusal,
        },
    };
    if done == Edit::Done {
        guest.charge(bytes)?;
    }
    Ok(done.number())
}

/// The head, unless it is already on its way.
fn editable(guest: &mut Guest) -> wasmtime::Result<Option<&mut RequestHead>> {
    let request = &mut guest.exchange()?.request;
    Ok((!request.sent).then_some(request))
}

fn retarget(request: &mut RequestHead, path: &str, query: Option<&str>) -> Edit {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if text.len() > TARGET_BYTES {
        return Edit::TooLarge;
    }
    match PathAndQuery::try_from(text) {
        Ok(target) if target.query() == query => {
            request.target = Some(target);
            Edit::Done
        }
        _ => Edit::Invalid,
    }
}

/// Absolute, without query, fragment or dot segments.
fn valid_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains(['?', '#', '\\'])
        && path.split('/').all(|segment| !matches!(segment, "." | ".."))
}

/// The query without the parameters of that (decoded) name; the others stay as they were written.
fn without_parameter(query: &str, name: &str) -> String {
    let kept = query
        .split('&')
        .filter(|pair| form_urlencoded::parse(pair.as_bytes()).next().is_none_or(|(key, _)| key != name));
    kept.collect::<Vec<_>>().join("&")
}

/// In the WIT's order.
const PROPERTIES: [Property; 14] = [
    Property::Id,
    Property::Method,
    Property::Scheme,
    Property::Host,
    Property::Path,
    Property::Query,
    Property::ClientAddress,
    Property::PeerAddress,
    Property::Route,
    Property::Service,
    Property::ConsumerId,
    Property::ConsumerName,
    Property::ConsumerCustomId,
    Property::CredentialId,
];
const TARGET_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_removed_whatever_way_it_is_written() {
        assert_eq!(without_parameter("a=1&ap%69key=x&b=%20", "apikey"), "a=1&b=%20");
        assert_eq!(without_parameter("apikey", "apikey"), "");
        assert_eq!(without_parameter("a=1&&b", "apikey"), "a=1&&b");
    }

    #[test]
    fn paths_that_could_be_read_in_two_ways_are_refused() {
        for bad in ["", "a", "/a/../b", "/a?b", "/a#b", "/a\\b", "/."] {
            assert!(!valid_path(bad), "{bad}");
        }
        assert!(valid_path("/a/..b/c."));
    }
}
