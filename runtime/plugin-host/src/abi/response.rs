use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, WasmList, WasmStr};
use wasmtime::{StoreContextMut, bail};

use super::fields::{self, Edit};
use super::values::copied;
use crate::exchange::{EarlyEdit, Origin, PreparedAnswer, ResponseSide};
use crate::guest::{Guest, Phase};
use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum OriginOf {
    #[component(name = "upstream")]
    Upstream,
    #[component(name = "plugin")]
    Plugin,
    #[component(name = "gateway")]
    Gateway,
}

pub(super) fn add(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    add_answers(linker)?;
    add_reading(linker)?;
    add_editing(linker)
}

fn add_answers(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("answer", |mut store: StoreContextMut<'_, Guest>, (status, body): (u16, WasmList<u8>)| {
        let body = copied(&store, &body, ANSWER_BYTES)?;
        let status = answer_status(status)?;
        store.data_mut().exchange()?.response.answer = Some(PreparedAnswer::Body(status, body));
        Ok(())
    })?;
    linker.func_wrap("refuse", |mut store: StoreContextMut<'_, Guest>, (status, message): (u16, WasmStr)| {
        let message: String = message.to_str(&store)?.chars().take(MESSAGE_CHARS).collect();
        let status = answer_status(status)?;
        store.data_mut().exchange()?.response.answer = Some(PreparedAnswer::Refusal(status, message));
        Ok(())
    })
}

fn add_reading(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("status", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        let head = store.data_mut().exchange()?.response.head.as_ref();
        Ok((head.map_or(0, |head| head.status.as_u16()),))
    })?;
    linker.func_wrap("origin-of", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        match store.data_mut().exchange()?.response.head.as_ref().map(|head| head.origin) {
            Some(Origin::Upstream) => Ok((OriginOf::Upstream,)),
            Some(Origin::Plugin) => Ok((OriginOf::Plugin,)),
            Some(Origin::Gateway) => Ok((OriginOf::Gateway,)),
            None => bail!("there is no response yet"),
        }
    })?;
    linker.func_wrap("header", |mut store: StoreContextMut<'_, Guest>, (name,): (u32,)| {
        let guest = store.data_mut();
        let name = guest.header_name(name)?.name.clone();
        let response = &guest.exchange()?.response;
        let value = match &response.head {
            Some(head) => head.headers.get(&name),
            None => fields::early_value(&response.early, &name),
        };
        let value = value.cloned().map(Value::Header);
        Ok((guest.hand_out_some(value)?,))
    })?;
    linker.func_wrap("header-values", |mut store: StoreContextMut<'_, Guest>, (name,): (u32,)| {
        let guest = store.data_mut();
        let name = guest.header_name(name)?.name.clone();
        let response = &guest.exchange()?.response;
        let values: Vec<HeaderValue> = match &response.head {
            Some(head) => head.headers.get_all(&name).iter().cloned().collect(),
            None => collected(response).get_all(&name).iter().cloned().collect(),
        };
        let handles: wasmtime::Result<Vec<u32>> =
            values.into_iter().map(|value| guest.hand_out(Value::Header(value))).collect();
        Ok((handles?,))
    })?;
    linker.func_wrap("headers", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        let guest = store.data_mut();
        let response = &guest.exchange()?.response;
        let all = match &response.head {
            Some(head) => fields::all(&head.headers),
            None => fields::all(&collected(response)),
        };
        Ok((fields::handles(guest, all)?,))
    })
}

fn add_editing(linker: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    linker.func_wrap("set-status", |mut store: StoreContextMut<'_, Guest>, (status,): (u16,)| {
        let response = &mut store.data_mut().exchange()?.response;
        if response.sent {
            return Ok((Edit::TooLate,));
        }
        let (Some(head), Ok(status)) = (&mut response.head, answer_status(status)) else {
            return Ok((Edit::Invalid,));
        };
        head.status = status;
        Ok((Edit::Done,))
    })?;
    linker.func_wrap("set-header", |mut store: StoreContextMut<'_, Guest>, (name, value): (u32, u32)| {
        let value = store.data().value(value)?.and_then(Value::to_header);
        Ok((edit(store.data_mut(), name, Some(value), EarlyEdit::Set)?,))
    })?;
    linker.func_wrap(
        "set-header-bytes",
        |mut store: StoreContextMut<'_, Guest>, (name, bytes): (u32, WasmList<u8>)| {
            let value = fields::from_slice(bytes.as_le_slice(&store));
            Ok((edit(store.data_mut(), name, Some(value), EarlyEdit::Set)?,))
        },
    )?;
    linker.func_wrap("set-header-number", |mut store: StoreContextMut<'_, Guest>, (name, number): (u32, i64)| {
        Ok((edit(store.data_mut(), name, Some(fields::from_number(number)), EarlyEdit::Set)?,))
    })?;
    linker.func_wrap("append-header", |mut store: StoreContextMut<'_, Guest>, (name, value): (u32, u32)| {
        let value = store.data().value(value)?.and_then(Value::to_header);
        Ok((edit(store.data_mut(), name, Some(value), EarlyEdit::Append)?,))
    })?;
    linker.func_wrap(
        "append-header-bytes",
        |mut store: StoreContextMut<'_, Guest>, (name, bytes): (u32, WasmList<u8>)| {
            let value = fields::from_slice(bytes.as_le_slice(&store));
            Ok((edit(store.data_mut(), name, Some(value), EarlyEdit::Append)?,))
        },
    )?;
    linker.func_wrap("remove-header", |mut store: StoreContextMut<'_, Guest>, (name,): (u32,)| {
        Ok((edit(store.data_mut(), name, None, |name, _| EarlyEdit::Remove(name))?,))
    })
}

/// Applies an edit to the response, or keeps it for the one to come. `value`: outer `None` for a
/// removal, inner `None` for a value that is no field value.
fn edit(
    guest: &mut Guest,
    name: u32,
    value: Option<Option<HeaderValue>>,
    make: fn(HeaderName, HeaderValue) -> EarlyEdit,
) -> wasmtime::Result<Edit> {
    let field = guest.header_name(name)?.clone();
    if guest.phase == Phase::Log {
        bail!("there is no current request here");
    }
    let response = &mut guest.exchange()?.response;
    if response.sent {
        return Ok(Edit::TooLate);
    }
    if field.reserved_in_response {
        return Ok(Edit::Reserved);
    }
    let bytes: usize = value.iter().flatten().map(HeaderValue::len).sum();
    let change = match value {
        None => EarlyEdit::Remove(field.name),
        Some(value) => match fields::checked(value) {
            Ok(value) => make(field.name, value),
            Err(refusal) => return Ok(refusal),
        },
    };
    let done = match (&mut response.head, change) {
        (Some(head), EarlyEdit::Set(name, value)) => fields::set(&mut head.headers, &name, value),
        (Some(head), EarlyEdit::Append(name, value)) => fields::append(&mut head.headers, &name, value),
        (Some(head), EarlyEdit::Remove(name)) => {
            head.headers.remove(&name);
            Edit::Done
        }
        (None, change) => fields::add_early(&mut response.early, change),
    };
    if done == Edit::Done {
        guest.charge(bytes)?;
    }
    Ok(done)
}

/// What the edits so far would make of an empty response.
fn collected(response: &ResponseSide) -> HeaderMap {
    let mut preview = ResponseSide { early: response.early.clone(), ..ResponseSide::default() };
    preview.begin(StatusCode::OK, HeaderMap::new(), Origin::Gateway);
    preview.head.map(|head| head.headers).unwrap_or_default()
}

fn answer_status(status: u16) -> wasmtime::Result<StatusCode> {
    match StatusCode::from_u16(status) {
        Ok(code) if (200..=599).contains(&status) => Ok(code),
        _ => bail!("a response has a status from 200 to 599, not {status}"),
    }
}

/// Of an answer that a plugin gives itself.
const ANSWER_BYTES: usize = 4 << 20;
const MESSAGE_CHARS: usize = 1024;
