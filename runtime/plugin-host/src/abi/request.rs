use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, header};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, WasmList, WasmStr};

use super::fields::{self, Edit};
use crate::exchange::{Exchange, RequestHead};
use crate::guest::Guest;
use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Property {
    #[component(name = "id")]
    Id,
    #[component(name = "method")]
    Method,
    #[component(name = "scheme")]
    Scheme,
    #[component(name = "host")]
    Host,
    #[component(name = "path")]
    Path,
    #[component(name = "query")]
    Query,
    #[component(name = "client-address")]
    ClientAddress,
    #[component(name = "peer-address")]
    PeerAddress,
    #[component(name = "route")]
    Route,
    #[component(name = "service")]
    Service,
    #[component(name = "consumer-id")]
    ConsumerId,
    #[component(name = "consumer-name")]
    ConsumerName,
    #[component(name = "consumer-custom-id")]
    ConsumerCustomId,
    #[component(name = "credential-id")]
    CredentialId,
}

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    add_reading(linker)?;
    add_fields(linker)?;
    add_target(linker)
}

fn add_reading(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("get", |mut store: StoreContextMut<'_, Guest>, (which,): (Property,)| {
        let guest = store.data_mut();
        let value = property(guest.exchange()?, which);
        if let Some(Value::Bytes(made)) = &value {
            guest.charge(made.len())?;
        }
        Ok((guest.hand_out_some(value)?,))
    })?;
    linker.func_wrap("header", |mut store: StoreContextMut<'_, Guest>, (name,): (u32,)| {
        let guest = store.data_mut();
        let name = &guest.header_name(name)?.name;
        let value = guest.exchange.as_ref().and_then(|exchange| exchange.request.headers.get(name)).cloned();
        guest.exchange()?;
        Ok((guest.hand_out_some(value.map(Value::Header))?,))
    })?;
    linker.func_wrap("header-values", |mut store: StoreContextMut<'_, Guest>, (name,): (u32,)| {
        let guest = store.data_mut();
        let name = guest.header_name(name)?.name.clone();
        let values: Vec<HeaderValue> = guest.exchange()?.request.headers.get_all(name).iter().cloned().collect();
        let handles: wasmtime::Result<Vec<u32>> =
            values.into_iter().map(|value| guest.hand_out(Value::Header(value))).collect();
        Ok((handles?,))
    })?;
    linker.func_wrap("headers", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        let guest = store.data_mut();
        let all = fields::all(&guest.exchange()?.request.headers);
        Ok((fields::handles(guest, all)?,))
    })?;
    linker.func_wrap("query-parameter", |mut store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?.into_owned();
        let guest = store.data_mut();
        let query = guest.exchange()?.request.uri.query().unwrap_or_default();
        let value = form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| *key == name)
            .map(|(_, value)| Value::Bytes(Bytes::from(value.into_owned())));
        // What somebody reads who may look up credentials may be one.
        if value.is_some() && guest.plugin()?.grants().credentials {
            guest.exchange()?.mask(&name);
        }
        Ok((value.map_or(Ok(0), |value| guest.hand_out_made(value))?,))
    })
}

fn add_fields(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("set-header", |mut store: StoreContextMut<'_, Guest>, (name, value): (u32, u32)| {
        let value = store.data().value(value)?.and_then(Value::to_header);
        Ok((edit_field(store.data_mut(), name, FieldEdit::Set(value))?,))
    })?;
    linker.func_wrap(
        "set-header-bytes",
        |mut store: StoreContextMut<'_, Guest>, (name, bytes): (u32, WasmList<u8>)| {
            let value = fields::from_slice(bytes.as_le_slice(&store));
            Ok((edit_field(store.data_mut(), name, FieldEdit::Set(value))?,))
        },
    )?;
    linker.func_wrap("set-header-number", |mut store: StoreContextMut<'_, Guest>, (name, number): (u32, i64)| {
        Ok((edit_field(store.data_mut(), name, FieldEdit::Set(fields::from_number(number)))?,))
    })?;
    linker.func_wrap("append-header", |mut store: StoreContextMut<'_, Guest>, (name, value): (u32, u32)| {
        let value = store.data().value(value)?.and_then(Value::to_header);
        Ok((edit_field(store.data_mut(), name, FieldEdit::Append(value))?,))
    })?;
    linker.func_wrap("remove-header", |mut store: StoreContextMut<'_, Guest>, (name,): (u32,)| {
        Ok((edit_field(store.data_mut(), name, FieldEdit::Remove)?,))
    })
}

fn add_target(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("remove-query-parameter", |mut store: StoreContextMut<'_, Guest>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?.into_owned();
        // What the upstream is not to see is not for the log either.
        store.data_mut().exchange()?.mask(&name);
        let Some(request) = editable(store.data_mut())? else { return Ok((Edit::TooLate,)) };
        let Some(target) = request.upstream_target() else { return Ok((Edit::Done,)) };
        let kept = target.query().map(|query| without_parameter(query, &name)).filter(|query| !query.is_empty());
        let path = target.path().to_owned();
        Ok((retarget(request, &path, kept.as_deref()),))
    })?;
    linker.func_wrap("set-method", |mut store: StoreContextMut<'_, Guest>, (method,): (u32,)| {
        let method = Method::from_bytes(store.data().bytes(method)?);
        let Some(request) = editable(store.data_mut())? else { return Ok((Edit::TooLate,)) };
        match method {
            // A CONNECT would turn the connection into a tunnel.
            Ok(method) if method != Method::CONNECT => request.method = method,
            _ => return Ok((Edit::Invalid,)),
        }
        Ok((Edit::Done,))
    })?;
    linker.func_wrap("set-path", |mut store: StoreContextMut<'_, Guest>, (path,): (u32,)| {
        let path = store.data().value(path)?.map(Value::to_bytes).unwrap_or_default();
        let Some(request) = editable(store.data_mut())? else { return Ok((Edit::TooLate,)) };
        let Some(path) = std::str::from_utf8(&path).ok().filter(|path| valid_path(path)) else {
            return Ok((Edit::Invalid,));
        };
        let query = request.upstream_target().and_then(PathAndQuery::query).map(str::to_owned);
        Ok((retarget(request, path, query.as_deref()),))
    })?;
    linker.func_wrap("set-query", |mut store: StoreContextMut<'_, Guest>, (query,): (u32,)| {
        let query = store.data().value(query)?.map(Value::to_bytes);
        let Some(request) = editable(store.data_mut())? else { return Ok((Edit::TooLate,)) };
        let Ok(query) = query.as_deref().map(std::str::from_utf8).transpose() else { return Ok((Edit::Invalid,)) };
        let path = request.upstream_target().map_or("/", PathAndQuery::path).to_owned();
        Ok((retarget(request, &path, query),))
    })
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
        Property::ClientAddress => Some(Value::Bytes(request.client.to_string().into())),
        Property::PeerAddress => Some(Value::Bytes(request.peer.ip().to_string().into())),
        Property::Route => Some(Value::Text(request.route.clone())),
        Property::Service => Some(Value::Text(request.service.clone())),
        Property::ConsumerId => identity.map(|who| Value::Text(who.consumer_id.clone())),
        Property::ConsumerName => identity.map(|who| Value::Text(who.consumer_name.clone())),
        Property::ConsumerCustomId => identity.and_then(|who| who.custom_id.clone()).map(Value::Text),
        Property::CredentialId => identity.and_then(|who| who.credential_id.clone()).map(Value::Text),
    }
}

enum FieldEdit {
    Set(Option<HeaderValue>),
    Append(Option<HeaderValue>),
    Remove,
}

fn edit_field(guest: &mut Guest, name: u32, edit: FieldEdit) -> wasmtime::Result<Edit> {
    let field = guest.header_name(name)?.clone();
    let Some(request) = editable(guest)? else { return Ok(Edit::TooLate) };
    if field.reserved_in_request {
        return Ok(Edit::Reserved);
    }
    let name = &field.name;
    let bytes = match &edit {
        FieldEdit::Set(Some(value)) | FieldEdit::Append(Some(value)) => value.len(),
        _ => 0,
    };
    let done = match edit {
        FieldEdit::Remove => {
            request.headers.remove(name);
            Edit::Done
        }
        FieldEdit::Set(value) => match fields::checked(value) {
            // What the upstream is asked for is decided when the request is forwarded.
            Ok(value) if *name == header::HOST => {
                request.host_override = Some(value);
                Edit::Done
            }
            Ok(value) => fields::set(&mut request.headers, name, value),
            Err(refusal) => refusal,
        },
        FieldEdit::Append(_) if *name == header::HOST => Edit::Invalid,
        FieldEdit::Append(value) => match fields::checked(value) {
            Ok(value) => fields::append(&mut request.headers, name, value),
            Err(refusal) => refusal,
        },
    };
    if done == Edit::Done {
        guest.charge(bytes)?;
    }
    Ok(done)
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
