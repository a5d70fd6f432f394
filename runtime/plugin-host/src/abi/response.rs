use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wasmtime::{Caller, bail};

use super::fields::{self, Edit};
use super::values::bounded;
use super::{Interface, Reply, memory};
use crate::exchange::{EarlyEdit, Origin, PreparedAnswer, ResponseSide};
use crate::guest::{Guest, Phase};
use crate::value::Value;

pub(super) fn add(response: &mut Interface<'_>) -> wasmtime::Result<()> {
    response.function("answer", answer)?;
    response.function("refuse", refuse)?;

    response.function("status", |mut caller: Caller<'_, Guest>| -> wasmtime::Result<u32> {
        let head = caller.data_mut().exchange()?.response.head.as_ref();
        Ok(head.map_or(0, |head| head.status.as_u16().into()))
    })?;
    response.function("origin-of", origin)?;
    response.function("header", header)?;
    response.function("header-values", header_values)?;
    response.function("headers", headers)?;

    response.function("set-status", set_status)?;
    response.function("set-header", |mut caller: Caller<'_, Guest>, name: u32, value: u32| {
        let guest = caller.data_mut();
        let value = fields::from_value(guest.value(value)?);
        edit(guest, name, Some(value), EarlyEdit::Set)
    })?;
    response.function("set-header-bytes", |mut caller: Caller<'_, Guest>, name: u32, start: u32, length: u32| {
        let (memory, guest) = memory::of(&mut caller)?;
        let value = fields::from_slice(memory::bytes(memory, start, length)?);
        edit(guest, name, Some(value), EarlyEdit::Set)
    })?;
    response.function("set-header-number", |mut caller: Caller<'_, Guest>, name: u32, number: i64| {
        edit(caller.data_mut(), name, Some(fields::from_number(number)), EarlyEdit::Set)
    })?;
    response.function("append-header", |mut caller: Caller<'_, Guest>, name: u32, value: u32| {
        let guest = caller.data_mut();
        let value = fields::from_value(guest.value(value)?);
        edit(guest, name, Some(value), EarlyEdit::Append)
    })?;
    response.function("append-header-bytes", |mut caller: Caller<'_, Guest>, name: u32, start: u32, length: u32| {
        let (memory, guest) = memory::of(&mut caller)?;
        let value = fields::from_slice(memory::bytes(memory, start, length)?);
        edit(guest, name, Some(value), EarlyEdit::Append)
    })?;
    response.function("remove-header", |mut caller: Caller<'_, Guest>, name: u32| {
        edit(caller.data_mut(), name, None, |name, _| EarlyEdit::Remove(name))
    })
}

fn answer(mut caller: Caller<'_, Guest>, status: u32, start: u32, length: u32) -> wasmtime::Result<()> {
    let (memory, guest) = memory::of(&mut caller)?;
    let body = Bytes::copy_from_slice(bounded(memory::bytes(memory, start, length)?, ANSWER_BYTES)?);
    let status = answer_status(status)?;
    guest.exchange()?.response.answer = Some(PreparedAnswer::Body(status, body));
    Ok(())
}

fn refuse(mut caller: Caller<'_, Guest>, status: u32, start: u32, length: u32) -> wasmtime::Result<()> {
    let (memory, guest) = memory::of(&mut caller)?;
    let message = memory::beginning(memory, start, length, MESSAGE_BYTES)?.into_owned();
    let status = answer_status(status)?;
    guest.exchange()?.response.answer = Some(PreparedAnswer::Refusal(status, message));
    Ok(())
}

/// The number of the case in the WIT.
fn origin(mut caller: Caller<'_, Guest>) -> wasmtime::Result<u32> {
    match caller.data_mut().exchange()?.response.head.as_ref().map(|head| head.origin) {
        Some(Origin::Upstream) => Ok(0),
        Some(Origin::Plugin) => Ok(1),
        Some(Origin::Gateway) => Ok(2),
        None => bail!("there is no response yet"),
    }
}

fn header(mut caller: Caller<'_, Guest>, name: u32) -> wasmtime::Result<u32> {
    let guest = caller.data_mut();
    let name = guest.header_name(name)?.name.clone();
    let response = &guest.exchange()?.response;
    let value = match &response.head {
        Some(head) => head.headers.get(&name),
        None => fields::early_value(&response.early, &name),
    };
    let value = value.cloned().map(Value::Header);
    guest.hand_out_some(value)
}

fn header_values(mut caller: Caller<'_, Guest>, name: u32, result: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    let name = guest.header_name(name)?.name.clone();
    let response = &guest.exchange()?.response;
    let values: fields::Values = match &response.head {
        Some(head) => head.headers.get_all(&name).iter().cloned().collect(),
        None => collected(response).get_all(&name).iter().cloned().collect(),
    };
    let numbers = fields::value_handles(guest, values)?;
    guest.reply(memory, Reply::Numbers { numbers, at: result })
}

fn headers(mut caller: Caller<'_, Guest>, result: u32) -> wasmtime::Result<u64> {
    let (memory, guest) = memory::of(&mut caller)?;
    let response = &guest.exchange()?.response;
    let all = match &response.head {
        Some(head) => fields::all(&head.headers),
        None => fields::all(&collected(response)),
    };
    let handles = fields::handles(guest, all)?;
    guest.reply(memory, Reply::fields(handles, result))
}

fn set_status(mut caller: Caller<'_, Guest>, status: u32) -> wasmtime::Result<u32> {
    let response = &mut caller.data_mut().exchange()?.response;
    let done = match (&mut response.head, answer_status(status)) {
        _ if response.sent => Edit::TooLate,
        (Some(head), Ok(status)) => {
            head.status = status;
            Edit::Done
        }
        _ => Edit::Invalid,
    };
    Ok(done.number())
}

/// Applies an edit to the response, or keeps it for the one to come. `value`: outer `None` for a
/// removal, inner `Err` for what is no value of a field.
fn edit(
    guest: &mut Guest,
    name: u32,
    value: Option<Result<HeaderValue, Edit>>,
    make: fn(HeaderName, HeaderValue) -> EarlyEdit,
) -> wasmtime::Result<u32> {
    let field = guest.header_name(name)?.clone();
    if guest.phase == Phase::Log {
        bail!("there is no current request here");
    }
    let response = &mut guest.exchange()?.response;
    if response.sent {
        return Ok(Edit::TooLate.number());
    }
    if field.reserved_in_response {
        return Ok(Edit::Reserved.number());
    }
    let bytes: usize = value.iter().flatten().map(HeaderValue::len).sum();
    let change = match value {
        None => EarlyEdit::Remove(field.name),
        Some(Ok(value)) => make(field.name, value),
        Some(Err(refusal)) => return Ok(refusal.number()),
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
    Ok(done.number())
}

/// What the edits so far would make of an empty response.
fn collected(response: &ResponseSide) -> HeaderMap {
    let mut preview = ResponseSide { early: response.early.clone(), ..ResponseSide::default() };
    preview.begin(StatusCode::OK, HeaderMap::new(), Origin::Gateway);
    preview.head.map(|head| head.headers).unwrap_or_default()
}

/// The canonical ABI passes 16 bits in a word, and ignores the others.
fn answer_status(status: u32) -> wasmtime::Result<StatusCode> {
    let status = status as u16;
    match StatusCode::from_u16(status) {
        Ok(code) if (200..=599).contains(&status) => Ok(code),
        _ => bail!("a response has a status from 200 to 599, not {status}"),
    }
}

/// Of an answer that a plugin gives itself.
const ANSWER_BYTES: usize = 4 << 20;
const MESSAGE_BYTES: usize = 1024;
